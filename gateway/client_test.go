package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// hasty asks again soon, so that tests of resending do not wait.
func hasty(c *gateway.ClientConfig) {
	c.ResendAfter, c.MinBackoff, c.MaxBackoff = 30*time.Millisecond, time.Millisecond, 5*time.Millisecond
}

var touchA = gateway.Request{Stream: store.StreamID{Type: "account", ID: "a"}, Name: "touch"}

// script answers each attempt at a command as a test says, and keeps what came.
type script struct {
	mu    sync.Mutex
	came  []*nats.Msg
	reply func(attempt int, m *nats.Msg)
}

func startScript(t *testing.T, nc *nats.Conn, reply func(attempt int, m *nats.Msg)) *script {
	t.Helper()
	s := &script{reply: reply}
	sub, err := nc.Subscribe("bank.cmd.>", func(m *nats.Msg) {
		s.mu.Lock()
		s.came = append(s.came, m)
		attempt := len(s.came)
		s.mu.Unlock()
		s.reply(attempt, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ids are the command ids of all attempts.
func (s *script) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, m := range s.came {
		ids = append(ids, m.Header.Get("Annals-Command-Id"))
	}
	return ids
}

func accept(t *testing.T, m *nats.Msg) {
	data := []byte(`{"type":"io.annals.api.v1.command_response","version":3,"position":99,"events":["opened"],"newer":1}`)
	respond(t, m, &nats.Msg{Data: data, Header: nats.Header{"Content-Type": {"application/json"}}})
}

// respond may still be answering what nobody waits for when the test is over.
func respond(t *testing.T, m, answer *nats.Msg) {
	if err := m.RespondMsg(answer); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}

func refuse(t *testing.T, m *nats.Msg, err error) {
	answer, encodeErr := gateway.AnswerMessage(store.MsgPack, err)
	if encodeErr != nil {
		t.Error(encodeErr)
	}
	respond(t, m, answer)
}

func TestSendRepeatsTheSameCommandUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	fake := startScript(t, connect(t, s), func(attempt int, m *nats.Msg) {
		switch attempt {
		case 1, 2: // the answer is lost
		case 3:
			refuse(t, m, store.ErrUnavailable)
		case 4:
			refuse(t, m, actor.ErrBusy)
		case 5:
			refuse(t, m, &store.UnknownError{Reason: errors.New("leader changed")})
		default:
			accept(t, m)
		}
	})
	result, err := newClient(t, connect(t, s), hasty).Send(t.Context(), touchA)
	if err != nil {
		t.Fatal(err)
	}
	if result.Version != 3 || result.Position != 99 || len(result.Events) != 1 {
		t.Errorf("%+v", result)
	}
	ids := fake.ids()
	if len(ids) < 6 || ids[0] == "" {
		t.Fatalf("attempts %q", ids)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the id changed: %q", ids)
		}
	}
}

func TestSendWaitsForSomebodyToRespond(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	asker, server := connect(t, s), connect(t, s)
	done := make(chan error, 1)
	go func() {
		_, err := newClient(t, asker, hasty).Send(context.Background(), touchA)
		done <- err
	}()
	eventually(t, "some attempts", func() bool { return asker.Stats().OutMsgs > 3 })
	startScript(t, server, func(_ int, m *nats.Msg) { accept(t, m) })
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
}

// isCertain looks whether an error says what is wanted of it, and nothing else.
func isCertain(err, want error, inferred bool) error {
	if want == nil {
		return err
	}
	e, ok := errors.AsType[*gateway.Error](err)
	if !ok || !errors.Is(err, want) || e.Inferred != inferred {
		return fmt.Errorf("%w, want %w", err, want)
	}
	may := []error{want, context.DeadlineExceeded}
	for _, r := range gateway.Rules() { // what is unknown is nothing else
		if !slices.Contains(may, r.Sentinel) && errors.Is(err, r.Sentinel) {
			return fmt.Errorf("%w also matches %w", err, r.Sentinel)
		}
	}
	return nil
}

// What a sender may conclude when its time is over.
func TestSendSaysWhatIsCertain(t *testing.T) {
	t.Parallel()
	lost := func(int, *nats.Msg) {}
	always := func(err error) func(int, *nats.Msg) { return func(_ int, m *nats.Msg) { refuse(t, m, err) } }
	first := func(one, then func(int, *nats.Msg)) func(int, *nats.Msg) {
		return func(attempt int, m *nats.Msg) {
			if attempt == 1 {
				one(attempt, m)
				return
			}
			then(attempt, m)
		}
	}
	// An answer to the first attempt that comes after that to the second.
	late := func(answer func(*nats.Msg)) func(int, *nats.Msg) {
		var mu sync.Mutex
		var held *nats.Msg
		return func(attempt int, m *nats.Msg) {
			mu.Lock()
			defer mu.Unlock()
			if attempt == 1 {
				held = m
				return
			}
			refuse(t, m, &actor.RejectedError{Reason: errPoor})
			if held != nil {
				answer(held)
				held = nil
			}
		}
	}
	for _, c := range []struct {
		what     string
		reply    func(int, *nats.Msg) // nil: nobody is there
		want     error
		inferred bool
	}{
		{"nobody is there", nil, store.ErrUnavailable, true},
		{"no answer", lost, store.ErrUnknown, true},
		{"busy all the time", always(actor.ErrBusy), actor.ErrBusy, false},
		{"no answer, then busy all the time", first(lost, always(actor.ErrBusy)), store.ErrUnknown, true},
		{"unknown all the time", always(store.ErrUnknown), store.ErrUnknown, true},
		{"rejected", always(&actor.RejectedError{Reason: errPoor}), actor.ErrRejected, false},
		{"no answer, then rejected", first(lost, always(&actor.RejectedError{Reason: errPoor})), store.ErrUnknown, true},
		{"rejected, and late the first attempt too", late(func(m *nats.Msg) { refuse(t, m, &actor.RejectedError{Reason: errPoor}) }), actor.ErrRejected, false},
		{"rejected, and late the first attempt was carried out", late(func(m *nats.Msg) { accept(t, m) }), nil, false},
		{"rejected, and late nobody knows of the first attempt", late(func(m *nats.Msg) { refuse(t, m, store.ErrUnknown) }), store.ErrUnknown, true},
		{"conflict", always(&store.ConflictError{Expected: 1, Actual: 2}), store.ErrConflict, false},
		{"damaged", always(store.ErrDamaged), store.ErrDamaged, false},
		{"no answer, then damaged", first(lost, always(store.ErrDamaged)), store.ErrUnknown, true},
		{"an answer that is none", func(_ int, m *nats.Msg) { _ = m.Respond([]byte("?")) }, store.ErrUnknown, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			givenTime(t, c.what, func(most time.Duration) error {
				s := startServer(t)
				if c.reply != nil {
					startScript(t, connect(t, s), c.reply)
				}
				// Where one answer settles it, it is the only attempt: one that the end of
				// the time cuts off would rightly be unknown.
				pace := func(c *gateway.ClientConfig) { c.ResendAfter = most / 30 }
				if c.want != nil && !errors.Is(c.want, store.ErrUnknown) && !strings.Contains(c.what, "late") {
					pace = func(c *gateway.ClientConfig) { c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour }
				}
				client := newClient(t, connect(t, s), hasty, pace)
				ctx, cancel := context.WithTimeout(t.Context(), most)
				defer cancel()
				_, err := client.Send(ctx, touchA)
				return isCertain(err, c.want, c.inferred)
			})
		})
	}
}

func TestSendOnAContextThatIsOverSendsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	fake := startScript(t, connect(t, s), func(_ int, m *nats.Msg) { accept(t, m) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nc := connect(t, s)
	c := newClient(t, nc)
	_, err := c.Send(ctx, touchA)
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	nc.Close()
	if _, err := c.Send(t.Context(), touchA); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("on a closed connection: %v", err)
	}
	if ids := fake.ids(); len(ids) != 0 {
		t.Errorf("sent %q", ids)
	}
}

func TestSendRefusesWhatTheConnectionWouldChange(t *testing.T) {
	t.Parallel()
	c := newClient(t, connect(t, startServer(t)))
	for what, change := range map[string]func(*gateway.Request){
		"line break in the command id":  func(r *gateway.Request) { r.ID = "a\r\nb" },
		"long command id":               func(r *gateway.Request) { r.ID = strings.Repeat("x", 129) },
		"line break in the correlation": func(r *gateway.Request) { r.CorrelationID = "a\nb" },
		"empty id":                      func(r *gateway.Request) { r.Stream.ID = "" },
		"type in upper case":            func(r *gateway.Request) { r.Stream.Type = "Account" },
		"command with a dot":            func(r *gateway.Request) { r.Name = "a.b" },
		"unknown policy":                func(r *gateway.Request) { r.OnConflict = 7 },
	} {
		r := touchA
		change(&r)
		if _, err := c.Send(t.Context(), r); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := touchA
	r.Body = make([]byte, 2<<20)
	if _, err := c.Send(t.Context(), r); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("2 MiB: %v", err)
	}
}

// The client's patience reaches the server, a little shortened.
func TestSendNamesItsDeadline(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	patience := make(chan string, 1)
	startScript(t, connect(t, s), func(_ int, m *nats.Msg) {
		patience <- m.Header.Get("Annals-Deadline")
		accept(t, m)
	})
	c := newClient(t, connect(t, s), func(c *gateway.ClientConfig) { c.Timeout = time.Hour })
	if _, err := c.Send(t.Context(), touchA); err != nil {
		t.Fatal(err)
	}
	if d, err := time.ParseDuration(receive(t, patience)); err != nil || d >= time.Hour || d < time.Hour/2 {
		t.Errorf("%v, %v", d, err)
	}
}

func TestTypedSenderEndToEnd(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			b := startBank(t)
			c := newClient(t, b.conn, func(c *gateway.ClientConfig) { c.Codec = codec })
			sender := gateway.For(c, accounts)
			result, err := sender.Send(t.Context(), "a 1", open{Owner: "Ann"})
			if err != nil || result.Version != 1 || result.Position == 0 || result.Events[0] != "opened" {
				t.Fatalf("%+v, %v", result, err)
			}
			options := gateway.Options{ID: "d-1", Expected: 1, HasExpected: true}
			for i := range 2 {
				result, err := sender.SendWith(t.Context(), "a 1", deposit{Cents: 500}, options)
				if err != nil || result.Version != 2 || result.Duplicate != (i == 1) {
					t.Fatalf("attempt %d: %+v, %v", i, result, err)
				}
			}
			for want, command := range map[error]command{actor.ErrRejected: withdraw{Cents: 501}, actor.ErrInternal: crash{}} {
				if _, err := sender.Send(t.Context(), "a 1", command); !errors.Is(err, want) {
					t.Errorf("%T: %v, want %v", command, err, want)
				}
			}
			_, err = sender.SendWith(t.Context(), "a 1", withdraw{Cents: 1}, gateway.Options{HasExpected: true, Expected: 9})
			e, ok := errors.AsType[*gateway.Error](err)
			if !ok || !errors.Is(err, store.ErrConflict) || e.Details["actual_version"] != 2 {
				t.Errorf("%+v", err)
			}
			_, err = sender.SendWith(t.Context(), "a 1", withdraw{Cents: 2}, options)
			if !errors.Is(err, actor.ErrDuplicateBody) {
				t.Errorf("the same id with another command: %v", err)
			}
		})
	}
}

// relay lets a test lose answers on their way, with a real gateway behind.
func TestALostAnswerIsFoundAgainAndNothingHappensTwice(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := store.NewMemory(store.MemoryConfig{})
	system := startSystem(t, log)
	var lose atomic.Int64
	lose.Store(2)
	f := &fakeActors{submit: func(ctx context.Context, c actor.Command, reply func(actor.Result, error)) {
		system.Submit(ctx, c, func(result actor.Result, err error) {
			if lose.Add(-1) >= 0 {
				err = &store.UnknownError{Stream: c.Stream, Reason: errors.New("acknowledgement lost")}
			}
			reply(result, err)
		})
	}}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f})
	result, err := gateway.For(newClient(t, connect(t, s), hasty), accounts).Send(t.Context(), "a", open{Owner: "Ann"})
	if err != nil || result.Version != 1 || !result.Duplicate {
		t.Errorf("%+v, %v", result, err)
	}
	if tip, err := log.Tip(t.Context()); err != nil || tip.Sequence() != 1 || f.count.Load() < 3 {
		t.Errorf("%d commits after %d attempts: %v", tip.Sequence(), f.count.Load(), err)
	}
}

func TestThousandsInFlight(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	sender := gateway.For(b.client(t), accounts)
	const streams, each = 2000, 3
	var wait sync.WaitGroup
	for i := range streams {
		wait.Go(func() {
			id := fmt.Sprintf("a-%d", i)
			for n := range each {
				var c command = deposit{Cents: 1}
				if n == 0 {
					c = open{Owner: "Ann"}
				}
				if r, err := sender.Send(context.Background(), id, c); err != nil || r.Version != uint64(n+1) {
					t.Errorf("%s: %+v, %v", id, r, err)
				}
			}
		})
	}
	wait.Wait()
	if tip, err := b.log.Tip(t.Context()); err != nil || tip.Sequence() != streams*each {
		t.Errorf("%d commits: %v", tip.Sequence(), err)
	}
}

func TestClientConfigIsChecked(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t))
	for what, config := range map[string]gateway.ClientConfig{
		"no connection":    {Namespace: namespace},
		"no namespace":     {Conn: nc},
		"a wildcard":       {Conn: nc, Namespace: "*"},
		"negative timeout": {Conn: nc, Namespace: namespace, Timeout: -1},
		"no back-off":      {Conn: nc, Namespace: namespace, MinBackoff: time.Minute},
	} {
		if _, err := gateway.NewClient(config); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// An answer that is slow is not a duplicate: the first attempt's own answer
// counts, however many attempts there were.
func TestSlowAnswerIsNotADuplicate(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var first *nats.Msg
	startScript(t, connect(t, s), func(attempt int, m *nats.Msg) {
		if attempt == 1 {
			first = m
			return
		}
		if attempt == 2 { // both are answered now, in the order in which they came
			accept(t, first)
			data := []byte(`{"type":"io.annals.api.v1.command_response","version":3,"position":99,"events":["opened"],"duplicate":true}`)
			if err := m.RespondMsg(&nats.Msg{Data: data, Header: nats.Header{"Content-Type": {"application/json"}}}); err != nil {
				t.Error(err)
			}
		}
	})
	result, err := newClient(t, connect(t, s), hasty).Send(t.Context(), touchA)
	if err != nil || result.Duplicate || result.Version != 3 {
		t.Fatalf("got %+v, %v", result, err)
	}
}
