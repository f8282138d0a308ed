package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// fakeOperators note what they are asked for, and answer for the views that
// run here as a test says.
type fakeOperators struct {
	views gateway.Views // tells which run here

	mu      sync.Mutex
	calls   []string
	letters []projector.DeadLetter
	events  []projector.LetterEvent
	skipped []projector.Skipped
	held    []projector.HeldRow
	err     error
	hang    bool   // until ctx ends
	then    func() // called after something was changed
}

func (f *fakeOperators) called(ctx context.Context, view, format string, args ...any) error {
	if err := f.views.Wait(canceled(), view, 0); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, view+" "+fmt.Sprintf(format, args...))
	if f.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.then != nil && format != "letters" {
		f.then()
	}
	return f.err
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func (f *fakeOperators) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.calls
	f.calls = nil
	return all
}

func (f *fakeOperators) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// find returns the letter, or zero if the test has released it.
func (f *fakeOperators) find(id string) projector.DeadLetter {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.letters {
		if l.ID == id {
			return l
		}
	}
	return projector.DeadLetter{}
}

func (f *fakeOperators) DeadLetters(ctx context.Context, view string) ([]projector.DeadLetter, error) {
	err := f.called(ctx, view, "letters")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.letters, err
}

func (f *fakeOperators) Letter(ctx context.Context, view, id string) (projector.DeadLetter, error) {
	if _, err := f.DeadLetters(ctx, view); err != nil {
		return projector.DeadLetter{}, err
	}
	if l := f.find(id); l.ID != "" {
		return l, nil
	}
	return projector.DeadLetter{}, fmt.Errorf("%w: %q of view %s", projector.ErrNoLetter, id, view)
}

func (f *fakeOperators) LetterEvents(ctx context.Context, view, id string, limit int) ([]projector.LetterEvent, error) {
	err := f.called(ctx, view, "events %s %d", id, limit)
	return f.events[:min(limit, len(f.events))], err
}

func (f *fakeOperators) Retry(ctx context.Context, view, id string) (projector.DeadLetter, error) {
	err := f.called(ctx, view, "retry %s", id)
	return f.find(id), err
}

func (f *fakeOperators) Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error {
	return f.called(ctx, view, "edit %s %d %s %s", id, at, data, by)
}

func (f *fakeOperators) Skip(ctx context.Context, view, id string, at uint64, reason, by string) (projector.DeadLetter, error) {
	err := f.called(ctx, view, "skip %s %d %s %s", id, at, reason, by)
	return projector.DeadLetter{}, err
}

func (f *fakeOperators) Skipped(ctx context.Context, view string) ([]projector.Skipped, error) {
	return f.skipped, f.called(ctx, view, "skipped")
}

func (f *fakeOperators) Held(ctx context.Context, view, subject, cursor string, limit int, min store.Position) (projector.HeldPage, error) {
	err := f.called(ctx, view, "held %s %q %d %d", subject, cursor, limit, min)
	begin, _ := strconv.Atoi(cursor)
	end := len(f.held)
	page := projector.HeldPage{Model: projector.Model{View: view, Version: 2}}
	if begin+limit < end {
		end, page.Next = begin+limit, strconv.Itoa(begin+limit)
	}
	page.Rows = f.held[begin:end]
	return page, err
}

func (f *fakeOperators) Rebuild(ctx context.Context, view string, r projector.Rebuild) (projector.Model, error) {
	return projector.Model{View: view, Version: r.Version, Build: 1}, f.called(ctx, view, "rebuild %+v", r)
}

func (f *fakeOperators) Promote(ctx context.Context, view string, force bool) error {
	return f.called(ctx, view, "promote %v", force)
}

func (f *fakeOperators) Rollback(ctx context.Context, view string) error {
	return f.called(ctx, view, "rollback")
}

func (f *fakeOperators) Cancel(ctx context.Context, view string) error {
	return f.called(ctx, view, "cancel")
}

func (f *fakeOperators) Retire(ctx context.Context, view string) error {
	return f.called(ctx, view, "retire")
}

func (f *fakeOperators) Pause(ctx context.Context, view string) error {
	return f.called(ctx, view, "pause")
}

func (f *fakeOperators) Resume(ctx context.Context, view string) error {
	return f.called(ctx, view, "resume")
}

func (f *fakeOperators) Rewind(ctx context.Context, view string, p store.Position) error {
	return f.called(ctx, view, "rewind %d", p)
}

func (f *fakeOperators) Verify(ctx context.Context, view string, documents bool) (projector.Verification, error) {
	v := projector.Verification{Model: projector.Model{View: view, Version: 1}, Workers: []projector.WorkerVerification{{Worker: "0", Equal: true}}}
	if documents {
		v.Documents = &projector.Parity{Compared: 3}
	}
	return v, f.called(ctx, view, "verify %v", documents)
}

func withOperators(f *fakeOperators) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Views, c.Operators = f.views, f }
}
