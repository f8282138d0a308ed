package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// house is a node of the storm: its actors open and close with its gateway.
type house struct {
	*node
	actors *shutters
}

// take and give do what a cluster's handler does.
func (h house) take(t *testing.T, p int) {
	h.actors.set(p, true)
	if err := h.Serve(p); err != nil {
		t.Error(err)
	}
}

func (h house) release(p int) {
	h.Hold(p)
	h.actors.set(p, false)
}

// lose is what happens when a lease lapses: the actors close first, and what is
// queued comes back.
func (h house) lose(p int) {
	h.actors.set(p, false)
	h.Pass(p)
}

// storm is load on two houses between which partitions are moved.
type storm struct {
	t        *testing.T
	roster   *roster
	houses   [2]house
	stop     chan struct{}
	answered atomic.Int64
	refused  atomic.Int64
}

// TestNothingIsLostInAStormOfMoves moves all partitions to and fro while 64
// clients of all kinds send: each command is answered, and what was said to be
// stored is.
func TestNothingIsLostInAStormOfMoves(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s, r := startServer(t), newRoster("a")
	log := store.NewMemory(store.MemoryConfig{Partitions: partitions})
	st := &storm{t: t, roster: r, stop: make(chan struct{})}
	for i, name := range []string{"a", "b"} {
		actors := startShutters(t, log)
		n := startNode(t, s, r, name, actors, partitioned, func(c *gateway.Config) { c.Overlap = 20 * time.Millisecond })
		st.houses[i] = house{n, actors}
	}
	for p := range partitions {
		st.houses[0].take(t, p)
	}
	var clients, movers sync.WaitGroup
	for i := range 64 {
		nc := connect(t, s)
		send := []func(*nats.Conn, int, int) error{st.stock, st.direct, st.typed(nc)}[i%3]
		clients.Go(func() { st.send(i, nc, send) })
	}
	moves := 25
	if testing.Short() {
		moves = 5
	}
	for p := range partitions {
		rng := rand.New(rand.NewPCG(seed, uint64(p)))
		movers.Go(func() { st.move(p, moves, rng) })
	}
	movers.Wait()
	close(st.stop)
	clients.Wait()
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if tip.Sequence() != uint64(st.answered.Load()) {
		t.Errorf("%d commits, %d answers that say so", tip.Sequence(), st.answered.Load())
	}
	for _, h := range st.houses {
		t.Logf("node %s: %v passed on, %v given back, %v parked", h.name, h.forwarded(t, "command"),
			h.metric(t, "annals_gateway_moved_total", ""), h.metric(t, "annals_gateway_parked_seconds", ""))
		eventually(t, "nothing is left behind", func() bool {
			return h.parked(t) == 0 && h.metric(t, "annals_gateway_in_flight", "") == 0
		})
	}
	t.Logf("%d commands stored, %d moves, %d attempts refused", tip.Sequence(), moves*partitions, st.refused.Load())
}

// move moves a partition so many times, with load between the moves.
func (st *storm) move(p, moves int, rng *rand.Rand) {
	for i := range moves {
		from, to := st.houses[i%2], st.houses[(i+1)%2]
		if rng.IntN(3) == 0 {
			from.lose(p)
			st.roster.give(p, "")
			st.dwell(int64(rng.IntN(10)))
			st.roster.give(p, to.name)
			to.take(st.t, p)
		} else {
			from.release(p)
			st.dwell(int64(rng.IntN(10)))
			st.roster.give(p, to.name)
			for _, step := range [][]func(){
				{func() { to.take(st.t, p) }, func() { from.Pass(p) }},
				{func() { from.Pass(p) }, func() { to.take(st.t, p) }},
			}[rng.IntN(2)] {
				step()
			}
		}
		st.dwell(int64(rng.IntN(60)))
	}
}

// await waits until so many more commands were answered.
func (st *storm) await(n int64) {
	want := st.answered.Load() + n
	eventually(st.t, "load goes on", func() bool { return st.answered.Load() >= want })
}

// dwell waits likewise, but not for long: while all partitions are held nothing
// is answered.
func (st *storm) dwell(n int64) {
	want, until := st.answered.Load()+n, time.Now().Add(10*time.Millisecond)
	eventually(st.t, "load goes on", func() bool { return st.answered.Load() >= want || time.Now().After(until) })
}

func (st *storm) send(client int, nc *nats.Conn, send func(nc *nats.Conn, client, n int) error) {
	for n := 0; ; n++ {
		select {
		case <-st.stop:
			return
		default:
		}
		if err := send(nc, client, n); err != nil {
			st.t.Errorf("client %d, command %d: %v", client, n, err)
			return
		}
		st.answered.Add(1)
	}
}

// stock sends as somebody who knows no partitions.
func (st *storm) stock(nc *nats.Conn, client, n int) error {
	return st.request(nc, fmt.Sprintf("bank.cmd.account.s%d-%d.open", client, n))
}

// direct sends to the partition's owner.
func (st *storm) direct(nc *nats.Conn, client, n int) error {
	id := store.StreamID{Type: "account", ID: fmt.Sprintf("d%d-%d", client, n)}
	return st.request(nc, fmt.Sprintf("bank.prt.%d.cmd.account.%s.open", id.Partition(partitions), id.ID))
}

// request asks again when nobody responds, and when it hears that the command
// was certainly not carried out, as one that moved four times on its way is
// not, or one whose turn did not come. Were it carried out after all, the
// account would be open.
func (st *storm) request(nc *nats.Conn, subject string) error {
	for {
		m, err := nc.Request(subject, []byte(`{"owner":"Ann"}`), soon)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
		case err != nil:
			return err
		case slices.Contains([]gateway.Code{gateway.CodeUnavailable, gateway.CodeDeadline}, gateway.Code(m.Header.Get("Annals-Error"))):
		case status(st.t, m) != 200:
			return fmt.Errorf("%s", m.Data)
		default:
			return nil
		}
		st.refused.Add(1)
	}
}

// typed sends with the Go client.
func (st *storm) typed(nc *nats.Conn) func(*nats.Conn, int, int) error {
	sender := gateway.For(newClient(st.t, nc), accounts)
	return func(_ *nats.Conn, client, n int) error {
		_, err := sender.Send(context.Background(), fmt.Sprintf("t%d-%d", client, n), open{Owner: "Ann"})
		return err
	}
}

// TestClientsOutliveAnOwner cuts an owner's connection under load. What was on
// its way is sent again, what finds nobody waits with a gateway for the heir,
// and everything is stored once.
func TestClientsOutliveAnOwner(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	log := store.NewMemory(store.MemoryConfig{Partitions: partitions})
	st := &storm{t: t, roster: r, stop: make(chan struct{})}
	nc := connect(t, s)
	actors := startShutters(t, log)
	dying, err := gateway.New(gateway.Config{
		Conn: nc, Namespace: namespace, Actors: actors, Node: "a", Placement: r.seenBy("a"), Partitions: partitions, Partitioned: true, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	go func() { died <- dying.Run(context.Background()) }()
	receive(t, dying.Ready())
	first := house{&node{Gateway: dying, name: "a"}, actors}
	heirs := startShutters(t, log)
	heir := house{startNode(t, s, r, "b", heirs, partitioned), heirs}
	for p := range partitions {
		first.take(t, p)
	}
	var clients sync.WaitGroup
	for i := range 32 {
		nc := connect(t, s)
		sender := gateway.For(newClient(t, nc, hasty), accounts)
		clients.Go(func() {
			st.send(i, nc, func(_ *nats.Conn, client, n int) error {
				_, err := sender.Send(context.Background(), fmt.Sprintf("t%d-%d", client, n), open{Owner: "Ann"})
				return err
			})
		})
	}
	st.await(300)
	nc.Close()
	if err := receive(t, died); err == nil {
		t.Error("Run returned nil though the connection was closed")
	}
	for p := range partitions {
		actors.set(p, false)
	}
	eventually(t, "commands wait with the other gateway", func() bool { return heir.parked(t) >= 32 })
	for p := range partitions {
		r.give(p, "b")
		heir.take(t, p)
	}
	st.await(300)
	close(st.stop)
	clients.Wait()
	if tip, err := log.Tip(t.Context()); err != nil || tip.Sequence() != uint64(st.answered.Load()) {
		t.Errorf("%d commits, %d answers that say so: %v", tip.Sequence(), st.answered.Load(), err)
	}
}
