package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/test/harness"
)

// sight is what the enemy tried, and what it saw.
type sight struct {
	tried   map[string]int
	refused int64
	heard   int
	lines   []string // that hold what is the other's
	wrong   []string // what else is not as it must be
}

func (s *sight) fail(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// spy has the enemy of a tenancy try everything while the other is at work.
func spy(ctx context.Context, c tenancy) (s sight, err error) {
	dir, err := os.MkdirTemp("", "annals-hostile-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	x, err := start(ctx, c, dir, true)
	if err != nil {
		return s, err
	}
	err = x.spy(ctx, &s)
	if stopped := x.stop(); err == nil {
		err = stopped
	}
	return s, err
}

// known is the account of the honest tenant that the enemy knows of.
const known = "alices"

func (x *tenants) spy(ctx context.Context, s *sight) error {
	if err := x.learn(); err != nil {
		return err
	}
	misled, err := x.inbox.SubscribeSync("_INBOX_alice.guessed.>")
	if err != nil {
		return err
	}
	guesses, err := x.enemy.eavesdrop()
	if err != nil {
		return err
	}
	if err := x.enemy.conn.Flush(); err != nil {
		return err
	}
	deposits, knocks, err := x.work(ctx)
	if err != nil {
		return err
	}
	if err := x.ownDoor(s); err != nil {
		return err
	}
	if x.guarded {
		err := harness.Until(ctx, soon, "everything that is not its own is refused", func() error {
			if got := x.enemy.refused.Load(); got < int64(guesses+knocks) {
				return fmt.Errorf("%d of %d", got, guesses+knocks)
			}
			return nil
		})
		if err != nil {
			s.fail("%v", err)
		}
	}
	s.tried, s.refused, s.lines = x.enemy.tried, x.enemy.refused.Load(), x.enemy.saw(x.secret)
	s.heard = len(x.enemy.heard)
	if got, err := misled.NextMsg(100 * time.Millisecond); err == nil && !x.open {
		s.fail("the honest tenant got an answer that it had not asked for: %s %s", got.Subject, got.Data)
	}
	return x.unharmed(ctx, s, deposits)
}

// work has the honest tenant work, while the enemy knocks.
func (x *tenants) work(ctx context.Context) (deposits, knocks int, err error) {
	for _, id := range []string{known, x.secret} {
		first := opening(id, x.secret)
		first.ID, first.CorrelationID = "alices-command", x.secret
		if _, err := x.alice.Send(ctx, first); err != nil {
			return 0, 0, err
		}
	}
	for i := range 20 {
		if i%5 == 0 {
			n, err := x.enemy.knock(known)
			if err != nil {
				return 0, 0, err
			}
			knocks += n
		}
		if _, err := x.alice.Send(ctx, deposit(known, "1")); err != nil {
			return 0, 0, err
		}
		deposits++
	}
	return deposits, knocks, nil
}

// ownDoor has the enemy ask its own nodes with all that it could have guessed, and have
// them answer to the other.
func (x *tenants) ownDoor(s *sight) error {
	about := `{"aggregate":"account","id":"` + known + `"}`
	type knock struct{ path, body, want string }
	knocks := []knock{
		{"cmd.account." + known + ".deposit", `{"cents":1}`, "REJECTED"},
		{"prt.0.get.account." + known, "", "NOT_FOUND"},
		{"qry.balances." + known, "", "NOT_FOUND"},
	}
	if !x.guarded { // otherwise clients may not ask that, not even at home
		for _, verb := range []string{"get", "history", "changes"} {
			knocks = append(knocks, knock{"ctl.aggregate." + verb, about, "NOT_FOUND"})
		}
	}
	for _, c := range knocks {
		m, err := x.enemy.ask(c.path, c.body)
		if err != nil {
			return err
		}
		if got := m.Header.Get(gateway.HeaderError); got != c.want {
			s.fail("%s: %q, want %s", c.path, got, c.want)
		}
	}
	// The same id, the same command id and the same bytes are another command here.
	m, err := x.enemy.ask("cmd.account.mallory.open", `{"owner":"m"}`, gateway.HeaderCommandID, "alices-command")
	if err != nil {
		return err
	}
	if !strings.Contains(string(m.Data), `"duplicate":false`) {
		s.fail("a command id of the other's: %s", m.Data)
	}
	for i := range 5 {
		for _, path := range []string{"ctl.info", "cmd.account.y" + fmt.Sprint(i) + ".open"} {
			x.enemy.count("inbox")
			body := ""
			if strings.HasPrefix(path, "cmd.") {
				body = `{"owner":"m"}`
			}
			if err := x.enemy.conn.PublishMsg(message(x.hostile+".as.mallory."+path, fmt.Sprintf("_INBOX_alice.guessed.%s.%d", path[:3], i), body)); err != nil {
				return err
			}
		}
	}
	_, err = x.enemy.ask("ctl.info", "") // by now the node has seen them
	return err
}

// unharmed checks that the honest tenant's account is as its owner made it.
func (x *tenants) unharmed(ctx context.Context, s *sight, deposits int) error {
	reader, err := x.reader()
	if err != nil {
		return err
	}
	n := 0
	for e, err := range reader.History(ctx, account(known), 0) {
		if err != nil {
			return err
		}
		if n++; e.Command.Principal != "alice" {
			s.fail("event %d was caused by %q", e.Version, e.Command.Principal)
		}
	}
	state, err := reader.State(ctx, account(known), actor.At{})
	if err != nil {
		return err
	}
	if want := fmt.Sprintf(`{"owner":%q,"cents":%d}`, x.secret, deposits); n != deposits+1 || string(state.State) != want {
		s.fail("%d events, %s; want %s", n, state.State, want)
	}
	return nil
}

// reader asks as alice does, or as her auditor where clients may not.
func (x *tenants) reader() (*gateway.Client, error) {
	who := "alice"
	if x.guarded {
		who = auditor
	}
	nc, err := x.enter(who, nats.Name("reader"))
	if err != nil {
		return nil, err
	}
	return gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: x.honest, Principal: who, Timeout: soon})
}
