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

// Erasures has 250 subjects.
func (o *officer) Erasures(_ context.Context, after string, limit int) (all []privacy.Record, err error) {
	for i := range 250 {
		if s := fmt.Sprintf("s%03d", i); s > after && len(all) < limit {
			all = append(all, privacy.Record{Subject: s, Erased: []privacy.Erasure{{ID: uuid.New()}}})
		}
	}
	return all, nil
}

func TestWhatOperatorsDoIsRecorded(t *testing.T) {
	t.Parallel()
	b, o, n, _ := office(t)
	for _, c := range []struct{ verb, body, act, outcome string }{
		{"projection.pause", `{"view":"totals","by":"ann"}`, "projection.pause|totals|ann|", "done"},
		{"projection.pause", `{"view":"totals"}`, "projection.pause|totals||", "done"},
		{"dlq.retry", `{"view":"totals","id":"0123456789ab"}`, "dlq.retry|totals/0123456789ab||", "done"},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":3,"by":"ann","reason":"bad"}`, "dlq.skip|totals/0123456789ab|ann|bad", "done"},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":4,"by":"ann","reason":"bad"}`, "dlq.skip|totals/0123456789ab|ann|bad", "failed: CONFLICT"},
		{"subject.forget", `{"subject":"c-7","by":"ann","why":"asked"}`, "subject.forget|c-7|ann|asked", "done"},
	} {
		request(t, b.conn, "bank.ctl."+c.verb, c.body)
		want := []string{c.act + "|begun|local", c.act + "|" + c.outcome + "|local"}
		if got := n.take(); !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, want %q", c.verb, got, want)
		}
	}
	request(t, b.conn, "bank.ctl.projection.pause", `{"view":"totals","by":"ann"}`, "Annals-Authorization", "Bearer t-operator")
	if got := n.take(); len(got) != 2 || !strings.HasPrefix(got[0], "projection.pause|totals|otto|") {
		t.Errorf("who is known is recorded as %q", got)
	}
	for _, verb := range []string{"projection.info", "dlq.ls", "subject.ls"} {
		request(t, b.conn, "bank.ctl."+verb, map[bool]string{true: `{}`, false: `{"view":"totals"}`}[verb == "subject.ls"])
		if got := n.take(); got != nil {
			t.Errorf("%s, which changes nothing, recorded %q", verb, got)
		}
	}
	o.asked()
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
		if _, err := c.Forget(t.Context(), privacy.Request{Subject: "c-7", Why: "asked"}); !errors.Is(err, want) {
			t.Errorf("stopped at %s: %v", step, err)
		}
	}
	found, err := c.Subject(t.Context(), "c-7")
	if err != nil || found.Key == "" || found.WrappedBy != "k1" || len(found.Erased) != 1 || found.Erased[0].By != "ann" {
		t.Errorf("%+v, %v", found, err)
	}
	count := 0
	for found, err := range c.Forgotten(t.Context()) {
		if err != nil || found.Subject != fmt.Sprintf("s%03d", count) {
			t.Fatalf("%+v, %v", found, err)
		}
		count++
	}
	if count != 250 {
		t.Errorf("%d subjects, want 250", count)
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
	if got := n.take(); !slices.Equal(got, []string{"cluster.drain|b|ann||begun|local"}) {
		t.Errorf("recorded %q", got)
	}
	if err := b.client(t).Record(t.Context(), ledger.Act{ID: "1"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an act that is none: %v", err)
	}
}
