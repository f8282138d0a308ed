package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// wire keeps what came over it.
type wire struct {
	mu   sync.Mutex
	came []string
}

// saw returns how often something came.
func (w *wire) saw(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.came = append(w.came, what)
	return len(w.came)
}

func (w *wire) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.came)
}

// A client that finds no owner turns to any gateway at once: there its command
// can wait. Then it tries the owner again.
func TestSendTakesADetourWhenThereIsNoOwner(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	detours := &wire{}
	server := connect(t, s)
	_, err := server.Subscribe("bank.cmd.>", func(m *nats.Msg) {
		switch detours.saw(m.Subject) {
		case 1, 2:
			refuse(t, m, store.ErrUnavailable)
		default:
			accept(t, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	nc := connect(t, s)
	client := newClient(t, nc, func(c *gateway.ClientConfig) {
		c.Partitions, c.ResendAfter = partitions, time.Hour
		c.MinBackoff, c.MaxBackoff = time.Millisecond, time.Millisecond
	})
	sent := nc.Stats().OutMsgs
	if _, err := client.Send(t.Context(), touchA); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bank.cmd.account.a.touch", "bank.cmd.account.a.touch", "bank.cmd.account.a.touch"}, detours.all()); diff != "" {
		t.Errorf("detours (-want +got):\n%s", diff)
	}
	// Each detour follows a direct attempt, and there was no other.
	if n := nc.Stats().OutMsgs - sent; n != 6 {
		t.Errorf("%d attempts, want 6", n)
	}
}

// The first attempt of a command goes to the owner, and no gateway sees it.
func TestSendGoesToTheOwner(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	a := startNode(t, s, r, "a", notHere(t), partitioned)
	owner := &fakeActors{submit: succeed}
	b := startNode(t, s, r, "b", owner, partitioned)
	for p := range partitions {
		serve(t, b, p)
	}
	client := newClient(t, connect(t, s)) // it asks how many partitions there are
	for i := range 100 {
		id := store.StreamID{Type: "account", ID: fmt.Sprintf("a/%d", i)}
		if _, err := client.Send(t.Context(), gateway.Request{Stream: id, Name: "touch"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := owner.count.Load(); n != 100 {
		t.Errorf("%d commands", n)
	}
	if n := a.forwarded(t, "command") + b.forwarded(t, "command"); n != 0 {
		t.Errorf("%v were passed on", n)
	}
}

// An owner that says nothing may be gone with its connection: the next attempt
// takes the other way.
func TestSendTakesADetourAfterSilence(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	server := connect(t, s)
	attempts := &wire{}
	_, err := server.Subscribe("bank.>", func(m *nats.Msg) {
		if attempts.saw(m.Subject); strings.HasPrefix(m.Subject, "bank.cmd.") {
			accept(t, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, connect(t, s), hasty, func(c *gateway.ClientConfig) { c.Partitions = partitions })
	if _, err := client.Send(t.Context(), touchA); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("bank.prt.%d.cmd.account.a.touch", touchA.Stream.Partition(partitions)), "bank.cmd.account.a.touch"}
	if diff := cmp.Diff(want, attempts.all()[:2]); diff != "" { // more, if the answer is overdue too
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

// Nobody on either way leaves it certain that nothing happened.
func TestNobodyOnEitherWayIsCertain(t *testing.T) {
	t.Parallel()
	// One attempt each: one that the end of the time cuts off would be unknown.
	client := newClient(t, connect(t, startServer(t)), func(c *gateway.ClientConfig) {
		c.Partitions, c.ResendAfter, c.MinBackoff, c.MaxBackoff = partitions, time.Hour, time.Hour, time.Hour
	})
	givenTime(t, "nobody", func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		_, err := client.Send(ctx, touchA)
		return isCertain(err, store.ErrUnavailable, true)
	})
}

// A node that does not know how many partitions there are is not asked for
// each command.
func TestTheClientAsksForThePartitionsOnce(t *testing.T) {
	t.Parallel()
	for _, known := range []int{0, partitions} {
		s := startServer(t)
		server := connect(t, s)
		asked := &wire{}
		_, err := server.Subscribe("bank.ctl.info", func(m *nats.Msg) {
			asked.saw("info")
			_ = m.Respond(fmt.Appendf(nil, `{"partitions":%d}`, known))
		})
		if err != nil {
			t.Fatal(err)
		}
		ways := &wire{}
		for _, subject := range []string{"bank.cmd.>", "bank.prt.>"} {
			_, err := server.Subscribe(subject, func(m *nats.Msg) {
				ways.saw(strings.Split(m.Subject, ".")[1])
				accept(t, m)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := server.Flush(); err != nil {
			t.Fatal(err)
		}
		client := newClient(t, connect(t, s))
		for range 3 {
			if _, err := client.Send(t.Context(), touchA); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"cmd", "cmd", "cmd"}
		if known > 0 {
			want = []string{"prt", "prt", "prt"}
		}
		if diff := cmp.Diff(want, ways.all()); diff != "" || len(asked.all()) != 1 {
			t.Errorf("%d partitions, asked %d times: ways (-want +got):\n%s", known, len(asked.all()), diff)
		}
	}
}

func TestPartitionsOfAClientAreChecked(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t))
	for _, n := range []int{-1, gateway.MaxPartitions + 1} {
		if _, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: namespace, Partitions: n}); err == nil {
			t.Errorf("%d: accepted", n)
		}
	}
}
