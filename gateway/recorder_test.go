package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// notebook records acts, as long as it can.
type notebook struct {
	mu   sync.Mutex
	acts []string
	err  error
}

func (n *notebook) Record(_ context.Context, a ledger.Act) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.acts = append(n.acts, strings.Join([]string{a.Action, a.What, a.By, a.Why, a.Outcome, a.Node}, "|"))
	return n.err
}

func (n *notebook) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.acts
	n.acts = nil
	return all
}

// office is a node that operates a view and forgets.
func office(t *testing.T) (*bank, *fakeOperators, *notebook, *officer) {
	t.Helper()
	w := newWandering("local", "totals")
	o := &fakeOperators{views: w, letters: []projector.DeadLetter{{ID: "0123456789ab", At: 3}}}
	w.run("totals", true)
	n, s := &notebook{}, &officer{}
	b := startBank(t, withOperators(o), verifying, func(c *gateway.Config) { c.Recorder, c.Subjects = n, s })
	return b, o, n, s
}

// officer knows one data subject.
type officer struct {
	mu    sync.Mutex
	asked []privacy.Request
	err   error
}

func (o *officer) Forget(_ context.Context, r privacy.Request) (privacy.Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r)
	return privacy.Receipt{Subject: r.Subject, By: r.By, Why: r.Why, Done: o.err == nil}, o.err
}

func (o *officer) Purge(_ context.Context, subject string) error {
	return fmt.Errorf("%w: purge %s", store.ErrUnavailable, subject)
}

func (o *officer) Subject(_ context.Context, subject string) (privacy.Record, error) {
	return privacy.Record{Subject: subject, Key: store.KeyID{1}, WrappedBy: "k1", Erased: []privacy.Erasure{{ID: uuid.New(), By: "ann"}}}, nil
}

// realm is that of the officer's keys.
var realm = uuid.MustParse("5f3d2c1b-0a99-4887-b665-544332211000")

func (o *officer) Realm() uuid.UUID { return realm }

// Erasures has 250 subjects.
func (o *officer) Erasures(_ context.Context, after string, limit int) (all []privacy.Record, err error) {
	for i := range 250 {
		if s := fmt.Sprintf("s%03d", i); s > after && len(all) < limit {
			all = append(all, privacy.Record{Subject: s, Erased: []privacy.Erasure{{ID: uuid.New()}}})
		}
	}
	return all, nil
}

// bodies are of requests for each operation that changes something.
var bodies = map[string]struct{ body, what, why string }{
	"projection.rebuild":  {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.promote":  {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.rollback": {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.cancel":   {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.retire":   {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.pause":    {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.resume":   {`{"view":"totals","by":"ann","why":"slow"}`, "totals", "slow"},
	"projection.rewind":   {`{"view":"totals","by":"ann","why":"slow","position":7}`, "totals", "slow"},
	"dlq.retry":           {`{"view":"totals","by":"ann","why":"slow","id":"0123456789ab"}`, "totals/0123456789ab", "slow"},
	"dlq.edit":            {`{"view":"totals","by":"ann","why":"slow","id":"0123456789ab","at":3,"data":{}}`, "totals/0123456789ab", "slow"},
	"dlq.skip":            {`{"view":"totals","by":"ann","id":"0123456789ab","at":3,"reason":"bad"}`, "totals/0123456789ab", "bad"},
	"subject.forget":      {`{"subject":"c-7","by":"ann","why":"asked"}`, "c-7", "asked"},
}

// Every operation is asked for that the gateway has: one that is new has to be in the table, and
// one that changes something has to be recorded, by who it is that asks.
func TestEveryOperationIsRecordedIfItChangesSomething(t *testing.T) {
	t.Parallel()
	b, _, n, _ := office(t)
	for verb, changes := range gateway.Operations() {
		if verb == "audit.record" { // is itself an entry: see below
			continue
		}
		c, known := bodies[verb]
		if changes != known {
			t.Errorf("%s changes something: %v; there is a body for it: %v", verb, changes, known)
			continue
		}
		if !changes {
			request(t, b.conn, "bank.ctl."+verb, `{"view":"totals","subject":"c-7"}`)
			if got := n.take(); got != nil {
				t.Errorf("%s, which changes nothing, recorded %q", verb, got)
			}
			continue
		}
		for by, send := range map[string]func() *nats.Msg{
			"unverified:ann": func() *nats.Msg { return request(t, b.conn, "bank.ctl."+verb, c.body) },
			"olga":           func() *nats.Msg { return request(t, b.conn, "bank.as.olga.ctl."+verb, c.body) },
			"adam": func() *nats.Msg {
				return request(t, b.conn, "bank.ctl."+verb, c.body, "Annals-Authorization", "Bearer t-admin")
			},
		} {
			outcome := "done"
			if code := send().Header.Get("Annals-Error"); code != "" {
				outcome = "failed: " + code
			}
			act := strings.Join([]string{verb, c.what, by, c.why}, "|")
			want := []string{act + "|begun|local", act + "|" + outcome + "|local"}
			if got := n.take(); !slices.Equal(got, want) {
				t.Errorf("%s: recorded %q, want %q", verb, got, want)
			}
		}
	}
}

// The client passes the reason on with every change, and a letter that is skipped has its own.
func TestTheReasonIsRecorded(t *testing.T) {
	t.Parallel()
	b, _, n, _ := office(t)
	o := b.client(t).Operator("totals").As("ann").Because("slow")
	do := map[string]func() error{
		"projection.rebuild|totals":     func() error { _, err := o.Rebuild(t.Context(), projector.Rebuild{}); return err },
		"projection.promote|totals":     func() error { _, err := o.Promote(t.Context(), true); return err },
		"projection.rewind|totals":      func() error { _, err := o.Rewind(t.Context(), 7); return err },
		"projection.pause|totals":       func() error { _, err := o.Pause(t.Context()); return err },
		"dlq.retry|totals/0123456789ab": func() error { _, err := o.Retry(t.Context(), "0123456789ab"); return err },
		"dlq.edit|totals/0123456789ab": func() error {
			_, err := o.Edit(t.Context(), "0123456789ab", 3, []byte("{}"), "ann")
			return err
		},
		"dlq.skip|totals/0123456789ab": func() error { _, err := o.Skip(t.Context(), "0123456789ab", 3, "bad", "ann"); return err },
	}
	for act, does := range do {
		if err := does(); err != nil {
			t.Errorf("%s: %v", act, err)
		}
		why := "slow"
		if strings.HasPrefix(act, "dlq.skip") {
			why = "bad"
		}
		want := []string{act + "|unverified:ann|" + why + "|begun|local", act + "|unverified:ann|" + why + "|done|local"}
		if got := n.take(); !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
		}
	}
}

// A reason that the audit log would not keep whole is refused before anything is done, by every operation that
// takes one and from every tool; so is none where one is wanted.
func TestReasonsAreRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	b, o, n, s := office(t)
	long := strings.Repeat("x", ledger.MaxWhyBytes+1)
	for verb, c := range bodies {
		fits := strings.Replace(c.body, `"`+c.why+`"`, `"`+long[1:]+`"`, 1)
		if code := request(t, b.conn, "bank.ctl."+verb, fits).Header.Get("Annals-Error"); code == "TOO_LARGE" || len(n.take()) != 2 {
			t.Errorf("%s: a reason of %d bytes: %s", verb, len(long)-1, code)
		}
		o.asked()
		s.asked = nil
		e := errorOf(t, request(t, b.conn, "bank.ctl."+verb, strings.Replace(c.body, `"`+c.why+`"`, `"`+long+`"`, 1)))
		if got := n.take(); e.Code != gateway.CodeTooLarge || got != nil || len(o.asked()) > 0 || len(s.asked) > 0 {
			t.Errorf("%s: a reason of %d bytes: %+v, recorded %q", verb, len(long), e, got)
		}
	}
	if _, err := b.client(t).Operator("totals").Because(long).Pause(t.Context()); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("the client: %v", err)
	}
	act := ledger.Act{ID: "1", Action: "cluster.drain", What: "b", Why: long, Outcome: ledger.Begun, At: time.Now()}
	if err := b.client(t).Record(t.Context(), act); !errors.Is(err, store.ErrTooLarge) || n.take() != nil {
		t.Errorf("a tool's: %v", err)
	}
	for _, verb := range []string{"dlq.skip", "subject.forget"} {
		c := bodies[verb]
		for _, blank := range []string{` `, `\u200b\u2060`, `\u3164`, `\u200d\n`} {
			e := errorOf(t, request(t, b.conn, "bank.ctl."+verb, strings.Replace(c.body, `"`+c.why+`"`, `"`+blank+`"`, 1)))
			if got := n.take(); e.Code != gateway.CodeInvalid || got != nil || len(o.asked()) > 0 || len(s.asked) > 0 {
				t.Errorf("%s: the reason %s: %+v, recorded %q", verb, blank, e, got)
			}
		}
	}
}

// What is kept of a reason is the same wherever it is kept.
func TestAReasonIsKeptAsItShows(t *testing.T) {
	t.Parallel()
	b, o, n, s := office(t)
	const given, kept = `\u200b asked\n for\u2060 it \u0007😀`, "asked for it 😀"
	for verb, c := range bodies {
		if code := request(t, b.conn, "bank.ctl."+verb, strings.Replace(c.body, `"`+c.why+`"`, `"`+given+`"`, 1)).Header.Get("Annals-Error"); code != "" {
			t.Errorf("%s: %s", verb, code)
		}
		for _, entry := range n.take() {
			if strings.Split(entry, "|")[3] != kept {
				t.Errorf("%s: recorded %q", verb, entry)
			}
		}
		if asked := o.asked(); verb == "dlq.skip" && !slices.Contains(asked, "totals skip 0123456789ab 3 "+kept+" unverified:ann") {
			t.Errorf("the list of what was skipped has %q", asked)
		}
	}
	if len(s.asked) != 1 || s.asked[0].Why != kept {
		t.Errorf("the receipt has %+v", s.asked)
	}
	act := ledger.Act{ID: "1", Action: "cluster.drain", Why: "new\u200b\ndisks", Outcome: ledger.Begun, At: time.Now()}
	if err := b.client(t).Record(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	if got := n.take(); len(got) != 1 || !strings.Contains(got[0], "|new disks|") {
		t.Errorf("a tool's: %q", got)
	}
}

// What is skipped had "reason" before all operations had "why".
func TestAReasonToSkipByEitherName(t *testing.T) {
	t.Parallel()
	b, _, n, _ := office(t)
	for _, c := range []struct{ named, why, code string }{
		{`"reason":"bad"`, "bad", ""},
		{`"why":"bad"`, "bad", ""},
		{`"reason":"bad","why":" "`, "bad", ""},
		{`"reason":"bad","why":"ticket 4711"`, "", "INVALID"},
		{`"reason":"bad","why":"bad"`, "", "INVALID"},
		{`"why":"` + strings.Repeat("x", ledger.MaxWhyBytes+1) + `"`, "", "TOO_LARGE"},
		{`"why":"bad"`, "bad", ""},
	} {
		m := request(t, b.conn, "bank.ctl.dlq.skip", `{"view":"totals","by":"ann","id":"0123456789ab","at":3,`+c.named+`}`)
		var want []string
		if c.code == "" {
			begun := "dlq.skip|totals/0123456789ab|unverified:ann|" + c.why + "|"
			want = []string{begun + "begun|local", begun + "done|local"}
		}
		if got := n.take(); m.Header.Get("Annals-Error") != c.code || !slices.Equal(got, want) {
			t.Errorf("%.60s: %s, recorded %q", c.named, m.Data, got)
		}
	}
}

func TestTheOutcomeIsRecorded(t *testing.T) {
	t.Parallel()
	b, o, n, _ := office(t)
	for at, outcome := range map[string]string{"3": "done", "4": "failed: CONFLICT"} {
		request(t, b.conn, "bank.ctl.dlq.skip", `{"view":"totals","id":"0123456789ab","at":`+at+`,"reason":"bad"}`, "Annals-Authorization", "Bearer t-operator")
		want := []string{"dlq.skip|totals/0123456789ab|otto|bad|begun|local", "dlq.skip|totals/0123456789ab|otto|bad|" + outcome + "|local"}
		if got := n.take(); !slices.Equal(got, want) {
			t.Errorf("at %s: recorded %q, want %q", at, got, want)
		}
	}
	o.asked()
}

// What may have taken effect is not counted among what failed.
func TestUnknownOutcomesAreNoFailures(t *testing.T) {
	t.Parallel()
	for code, want := range map[gateway.Code]string{
		gateway.CodeUnknownOutcome: "unknown: UNKNOWN_OUTCOME", gateway.CodeForgetUnfinished: "unknown: FORGET_UNFINISHED",
		gateway.CodeConflict: "failed: CONFLICT", gateway.CodeUnavailable: "failed: UNAVAILABLE",
	} {
		if got := gateway.Outcome(code); got != want {
			t.Errorf("%s is recorded as %q, want %q", code, got, want)
		}
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	t.Parallel()
	b, o, n, s := office(t)
	n.err = fmt.Errorf("%w: %w", store.ErrUnknown, context.DeadlineExceeded)
	for verb, body := range map[string]string{
		"projection.pause": `{"view":"totals"}`, "subject.forget": `{"subject":"c-7","why":"asked"}`,
	} {
		if e := errorOf(t, request(t, b.conn, "bank.ctl."+verb, body)); e.Code != gateway.CodeUnavailable || !strings.Contains(e.Description, "nothing was done") {
			t.Errorf("%s: %+v", verb, e)
		}
	}
	if got := o.asked(); len(got) > 0 || len(s.asked) > 0 {
		t.Errorf("it was done all the same: %q, %v", got, s.asked)
	}
	if got := n.take(); len(got) != 2 {
		t.Errorf("recorded %q", got)
	}
}

func TestForgettingOverTheWire(t *testing.T) {
	t.Parallel()
	b, _, _, s := office(t)
	c := b.client(t)
	receipt, err := c.Forget(t.Context(), privacy.Request{Subject: "c-7", By: "ann", Why: "asked"})
	if err != nil || !receipt.Done || receipt.Why != "asked" {
		t.Errorf("%+v, %v", receipt, err)
	}
	for step, want := range map[privacy.Step]error{privacy.StepFence: store.ErrUnavailable, privacy.StepPurge: gateway.ErrForgetUnfinished} {
		s.err = &privacy.StepError{Subject: "c-7", Step: step, Err: fmt.Errorf("%w: away", store.ErrUnavailable)}
		begun, err := c.Forget(t.Context(), privacy.Request{Subject: "c-7", Why: "asked"})
		if !errors.Is(err, want) {
			t.Errorf("stopped at %s: %v", step, err)
		}
		if asked := s.asked[len(s.asked)-1]; asked.ID == uuid.Nil || begun.ID != asked.ID {
			t.Errorf("stopped at %s: asked for erasure %s, told %s", step, asked.ID, begun.ID)
		}
	}
	found, err := c.Subject(t.Context(), "c-7")
	if err != nil || found.Key == "" || found.WrappedBy != "k1" || len(found.Erased) != 1 || found.Erased[0].By != "ann" || found.Erased[0].Realm != realm {
		t.Errorf("%+v, %v", found, err)
	}
	count := 0
	for found, err := range c.Forgotten(t.Context()) {
		if err != nil || found.Subject != fmt.Sprintf("s%03d", count) || found.Erased[0].Realm != realm {
			t.Fatalf("%+v, %v", found, err)
		}
		count++
	}
	if count != 250 {
		t.Errorf("%d subjects, want 250", count)
	}
	page, next, err := c.ForgottenPage(t.Context(), "s247", 1)
	if err != nil || len(page) != 1 || page[0].Subject != "s248" || next != "s248" {
		t.Errorf("one after s247: %+v, %q, %v", page, next, err)
	}
	if _, _, err := c.ForgottenPage(t.Context(), "", 101); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a page of 101: %v", err)
	}
	for body, want := range map[string]gateway.Code{
		`{"subject":"c-7"}`: gateway.CodeInvalid, `{"why":"x"}`: gateway.CodeInvalid, `{"subject":"a\nb","why":"x"}`: gateway.CodeInvalid,
		`{"subject":"c-7","why":"x","more":1}`: gateway.CodeInvalid,
	} {
		if e := errorOf(t, request(t, b.conn, "bank.ctl.subject.forget", body)); e.Code != want {
			t.Errorf("%s: %+v", body, e)
		}
	}
	for _, token := range []string{"t-bob", "t-viewer", "t-operator"} {
		e := errorOf(t, request(t, b.conn, "bank.ctl.subject.forget", `{"subject":"c-7","why":"x"}`, "Annals-Authorization", "Bearer "+token))
		if e.Code != gateway.CodeForbidden {
			t.Errorf("%s: %+v", token, e)
		}
	}
}

// What nodes ask each other for is not for anybody.
func TestOnlyNodesAskForAPurge(t *testing.T) {
	t.Parallel()
	b, _, _, _ := office(t)
	if _, err := b.conn.Request("bank.ctl.subject.purge", []byte(`{"subject":"c-7"}`), soon); err == nil {
		t.Error("it was answered")
	}
	if e := errorOf(t, request(t, b.conn, "bank.node.local.ctl.subject.purge", `{"subject":"c-7"}`)); e.Code != gateway.CodeUnavailable {
		t.Errorf("%+v", e)
	}
}

func TestOthersMayHaveTheirActsRecorded(t *testing.T) {
	t.Parallel()
	b, _, n, _ := office(t)
	a := ledger.Act{ID: "1", Action: "cluster.drain", What: "b", By: "ann", Outcome: ledger.Begun, At: time.Now(), Node: "elsewhere"}
	if err := b.client(t).Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got := n.take(); !slices.Equal(got, []string{"cluster.drain|b|unverified:ann||begun|local"}) {
		t.Errorf("recorded %q", got)
	}
	if err := b.client(t).Record(t.Context(), ledger.Act{ID: "1"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an act that is none: %v", err)
	}
	a.Action = "subject.forgotten"
	if err := b.client(t).Record(t.Context(), a); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an act of a node: %v", err)
	}
	for _, verb := range []string{"audit.record", "subject.forget", "subject.ls"} {
		if m := request(t, b.conn, "bank.node.local.ctl."+verb, `{}`, "Annals-Principal", "olga"); m.Header.Get("Annals-Error") != string(gateway.CodeInvalid) {
			t.Errorf("%s at a node's own subject: %s", verb, m.Data)
		}
	}
	n.take()
	for token, want := range map[string]map[string]gateway.Code{
		"t-bob":      {"cluster.drain": gateway.CodeForbidden, "subject.export": gateway.CodeForbidden},
		"t-viewer":   {"cluster.drain": gateway.CodeForbidden, "subject.export": gateway.CodeForbidden},
		"t-operator": {"cluster.drain": "", "subject.export": gateway.CodeForbidden},
	} {
		for action, code := range want {
			body := fmt.Sprintf(`{"id":"2","action":%q,"outcome":"begun","at":%q}`, action, time.Now().UTC().Format(time.RFC3339))
			got := request(t, b.conn, "bank.ctl.audit.record", body, "Annals-Authorization", "Bearer "+token).Header.Get("Annals-Error")
			if got != string(code) {
				t.Errorf("%s has %s recorded: %q, want %q", token, action, got, code)
			}
		}
	}
}
