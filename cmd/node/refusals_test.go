package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/configured"
)

func refusalOf(text string) error {
	return fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, text)
}

// A refusal explains the silence at its own subject, and one of answers all of it. A node that is not there is not
// taken for a refusal of something else.
func TestARefusalExplainsItsOwnSilence(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("bank.ctl.info got no answer: %w", store.ErrUnavailable)
	for _, c := range []struct {
		refused  string
		err      error
		explains bool
	}{
		{`Publish to "bank.ctl.info"`, away, true},
		{`Publish to "bank.ctl.inf"`, away, false},
		{`Publish to "bank.ctl.dlq.ls"`, away, false},
		{`Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, away, false},
		{`Subscription to "_INBOX.x.*"`, away, true},
		{`Publish to "bank.ctl.info"`, fmt.Errorf("%w: %w", away, nats.ErrNoResponders), false},
		{`Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, context.DeadlineExceeded, true}, // which names nothing
		{`Publish to "bank.prt.7.cmd.account.ann.open"`, fmt.Errorf("bank.cmd.account.ann.open got no answer: %w: %w", store.ErrUnknown, store.ErrUnavailable), true},
	} {
		s, _, _ := testSession(nil)
		s.noteRefusal(nil, nil, refusalOf(c.refused))
		if refused := s.refusalBehind(c.err); (refused != nil) != c.explains {
			t.Errorf("%s, then %v: it is told to come of %v", c.refused, c.err, refused)
		}
	}
}

// A refusal ends the requests at its own verb, in whatever name they are asked, and those alone: what was taken goes on.
func TestARefusalEndsItsOwnRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		refused string
		ends    []string
	}{
		{`Publish to "bank.ctl.info"`, []string{"info"}},
		{`Publish to "bank.as.olga.ctl.dlq.edit"`, []string{"dlq.edit"}},
		{`Publish to "bank.ctl.projection.info"`, []string{"projection.info"}},
		{`Publish to "bank.ctl.cluster.info"`, nil},
		{`Publish to "bank.ctl."`, nil},
		{`Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, nil},
		{`Subscription to "bank.ctl.info"`, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var r refusals
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan string, 8)
			for _, verb := range []string{"info", "projection.info", "dlq.edit", notControl} {
				go func() {
					err := r.unlessRefused(ctx, verb, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
					if errors.Is(err, nats.ErrPermissionViolation) {
						ended <- verb
					}
				}()
			}
			synctest.Wait()
			r.note(refusalOf(c.refused))
			synctest.Wait()
			var got []string
			for len(ended) > 0 {
				got = append(got, <-ended)
			}
			if !slices.Equal(got, c.ends) {
				t.Errorf("%s ends the requests at %q, want %q", c.refused, got, c.ends)
			}
		})
	}
}

// What was refused before a request began neither ends it nor explains it, unless it is what answers come to, which
// is subscribed to once.
func TestARefusalOfEarlier(t *testing.T) {
	t.Parallel()
	const stream, info, inbox = `Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, `Publish to "bank.ctl.info"`, `Subscription to "_INBOX.x.*"`
	unknown := fmt.Errorf("%w: %w", store.ErrUnknown, store.ErrUnavailable)
	for _, c := range []struct {
		earlier, meanwhile string
		verb               string
		err                error
		explains           string
	}{
		{stream, "", notControl, context.DeadlineExceeded, ""},
		{stream, stream, notControl, context.DeadlineExceeded, stream},
		{info, stream, notControl, context.DeadlineExceeded, stream},
		{info, "", "info", context.DeadlineExceeded, ""},
		{"", stream, "info", context.DeadlineExceeded, ""},
		{inbox, "", "info", context.DeadlineExceeded, inbox},
		{inbox, "", notControl, nats.ErrTimeout, inbox},
		{`Publish to "bank.cmd.account.ann.open"`, "", "dlq.edit", unknown, ""},
	} {
		s, _, _ := testSession(nil)
		if c.earlier != "" {
			s.noteRefusal(nil, nil, refusalOf(c.earlier))
		}
		err := s.refused.unlessRefused(t.Context(), c.verb, func(ctx context.Context) error {
			if ctx.Err() != nil {
				t.Errorf("%+v: it is ended by what was refused before", c)
			}
			if c.meanwhile != "" {
				s.noteRefusal(nil, nil, refusalOf(c.meanwhile))
			}
			return c.err
		})
		got := ""
		if refused := s.refusalBehind(fmt.Errorf("look: %w", err)); refused != nil {
			_, got, _ = strings.Cut(refused.Error(), "Violation for ")
		}
		if got != c.explains || !errors.Is(err, c.err) || err.Error() != c.err.Error() {
			t.Errorf("%+v: it is told to come of %q: %v", c, got, err)
		}
	}
}

// However much is refused, what is refused now is known, and that answers never come.
func TestManyRefusals(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	inbox := refusalOf(`Subscription to "_INBOX.x.*"`)
	s.noteRefusal(nil, nil, inbox)
	for n := range 3 * maxRefusals {
		err := s.refused.unlessRefused(t.Context(), notControl, func(context.Context) error {
			s.noteRefusal(nil, nil, refusalOf(`Publish to "$JS.ACK.`+strconv.Itoa(n)+`"`))
			return context.DeadlineExceeded
		})
		if refused := s.refusalBehind(err); !errors.Is(refused, inbox) {
			t.Fatalf("%d: it comes of %v", n, refused)
		}
		if len(s.refused.all) > maxRefusals || !mayComeOf(err, s.refused.all[len(s.refused.all)-1]) {
			t.Fatalf("%d: %d are kept, the last is %+v", n, len(s.refused.all), s.refused.all[len(s.refused.all)-1])
		}
	}
}

// Whoever may ask nothing is told so at once, by each command: a request waits at the verb that it is asked at.
func TestWhatIsRefusedIsToldAtOnce(t *testing.T) {
	t.Parallel()
	nc := configured.Connect(t, `jetstream: enabled
authorization { users: [ { user: ann, password: pw, permissions: { publish: { deny: ["bank.ctl.>", "bank.as.*.ctl.>"] } } } ] }`, nats.UserInfo("ann", "pw"))
	for _, command := range []string{
		"aggregate get account x", "aggregate diff account x 1 2", "aggregate types", "projection ls", "projection info v", "projection pause v",
		"view wait 1 v", "subject show x", "dlq ls",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var talk strings.Builder
		streams := Streams{In: strings.NewReader(""), Out: &talk, Err: &talk, Env: func(string) string { return "" }}
		url := strings.Replace(nc.ConnectedUrl(), "//", "//ann:pw@", 1)
		code := Run(ctx, App{Name: "bank"}, streams, append(strings.Fields(command), "--server", url, "--timeout", "2m")...)
		if ctx.Err() != nil || code != console.ExitForbidden || !strings.Contains(talk.String(), `Publish to "bank.ctl.`) {
			t.Errorf("%s: exit code %d, %v: %s", command, code, ctx.Err(), talk.String())
		}
		cancel()
	}
}

// A request that waits at a verb that there is not would not be ended by its refusal.
func TestRequestsWaitAtVerbsThatThereAre(t *testing.T) {
	t.Parallel()
	var verbs, named []string
	for _, v := range gateway.ControlVerbs() {
		verbs = append(verbs, v.Verb)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\brequest\([^"\n]*, "([a-z.]+)"`).FindAllStringSubmatch(string(text), -1) {
			named = append(named, m[1])
		}
	}
	at := slices.Index(named, "projection.")
	if at < 0 || len(named) < 20 {
		t.Fatalf("these verbs are named: %q", named)
	}
	named = slices.Delete(named, at, at+1)
	for _, c := range projectionChanges {
		named = append(named, "projection."+c.verb)
	}
	for _, verb := range append(named, recording) {
		if !slices.Contains(verbs, verb) {
			t.Errorf("a request waits at %q, and the verbs are %q", verb, verbs)
		}
	}
}
