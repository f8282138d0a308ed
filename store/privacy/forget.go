package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// ForgetterConfig says what the steps of a forgetting are that this package does not
// take itself. Each may be called again for the same erasure, and must come to the same.
type ForgetterConfig struct {
	// Keys is where keys are kept. It is required.
	Keys Keys
	// Purge has every node drop the subject's key ([Keyring.Purge]) and returns nil when
	// all have said that they did. It is required.
	Purge func(ctx context.Context, subject string) error
	// Notice writes down in the log that the subject was forgotten, once for each
	// e.ID, and returns where. It is required.
	Notice func(ctx context.Context, e Erasure, subject string) (store.Position, error)
	// Audit writes down the receipt as it is so far, once for each r.ID. Default:
	// nobody is told.
	Audit func(ctx context.Context, r Receipt) error
}

// Forgetter forgets data subjects, step by step. It keeps nothing itself: how far a
// forgetting has come is in the key store, so that any node may go on with it. All
// methods may be called from many goroutines, and on many nodes.
type Forgetter struct {
	config ForgetterConfig
}

// NewForgetter returns a forgetter.
func NewForgetter(config ForgetterConfig) (*Forgetter, error) {
	if config.Keys == nil || config.Purge == nil || config.Notice == nil {
		return nil, errors.New("new forgetter: it needs a key store and the steps purge and notice")
	}
	if config.Audit == nil {
		config.Audit = func(context.Context, Receipt) error { return nil }
	}
	return &Forgetter{config: config}, nil
}

// Request asks for a data subject to be forgotten.
type Request struct {
	// Subject is the data subject's id.
	Subject string
	// By is who asks, Why the reason: at most [store.MaxMetadataBytes] each, and 2,048
	// bytes together as JSON has them. They are kept for ever, so there should be
	// nothing in them that must be forgotten.
	By, Why string
	// ID makes the request one that can be sent again: the erasure gets it, and if there
	// is one with it, nothing new is erased. Zero: one is made up. A subject that is forgotten
	// already and was not seen since is not forgotten again: the erasure that was is the
	// answer, and remembers the last 16 ids of such requests.
	ID uuid.UUID
}

func (r Request) validate() error {
	if err := validatePerson(r.Subject); err != nil {
		return err
	}
	for what, text := range map[string]string{"name of who forgets": r.By, "reason to forget": r.Why} {
		if len(text) > store.MaxMetadataBytes {
			return &store.TooLargeError{What: what, Size: len(text), Limit: store.MaxMetadataBytes}
		}
	}
	e := Erasure{By: r.By, Why: r.Why}
	return e.validate()
}

// StepError says at which step a forgetting stopped. What was done stays done: the next
// [Forgetter.Forget] or [Forgetter.Resume] goes on.
type StepError struct {
	Subject string
	Step    Step
	Err     error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("forget %q: step %s: %v", e.Subject, e.Step, e.Err)
}

// Unwrap makes the error match its cause.
func (e *StepError) Unwrap() error { return e.Err }

// Forget erases a subject's key and sees to it that nobody has it any more. When it has
// returned without an error, nothing that was sealed for the subject before can be read by
// anyone, ever. A subject without a key is forgotten as well, for views may know it. The
// error is a [*StepError], an [*store.InvalidError] or a [*store.TooLargeError]. One at
// [StepFence] says that nothing was done, unless it matches [store.ErrUnknown]: then the
// key may be given up all the same. Asked for again under the same ID, it is one erasure.
func (f *Forgetter) Forget(ctx context.Context, r Request) (Receipt, error) {
	if err := r.validate(); err != nil {
		return Receipt{}, fmt.Errorf("forget: %w", err)
	}
	record, e, err := f.fence(ctx, r)
	if err != nil {
		return Receipt{}, &StepError{Subject: r.Subject, Step: StepFence, Err: err}
	}
	if e.Done {
		return receiptOf(f.config.Keys.Realm(), r.Subject, e), nil
	}
	return f.finish(ctx, record, e)
}

// fence has the record hold no key, but the erasure of the one that it had, and returns
// both. A forgetting that is under way, or was done, is not begun again. Once a try had no
// certain answer every later error matches [store.ErrUnknown], too.
func (f *Forgetter) fence(ctx context.Context, r Request) (_ Record, _ Erasure, err error) {
	id, unheard := r.ID, false
	if id == uuid.Nil {
		id = uuid.New()
	}
	defer func() {
		if err != nil && unheard {
			err = fmt.Errorf("%w: %w", store.ErrUnknown, err)
		}
	}()
	for {
		record, err := f.config.Keys.Load(ctx, r.Subject)
		if err != nil {
			return Record{}, Erasure{}, err
		}
		nth, known := begun(&record, r, id)
		switch {
		case known:
			return record, record.Erased[nth], nil
		case nth >= 0:
			record.Erased[nth].answers(id)
		default:
			nth = len(record.Erased)
			record.Erased = append(record.Erased, Erasure{Key: record.Key, ID: id, At: time.Now().UTC(), By: r.By, Why: r.Why})
			record.giveUp()
		}
		revision, err := f.config.Keys.Store(ctx, record)
		switch {
		case err == nil:
			record.Revision = revision
			return record, record.Erased[nth], nil
		case errors.Is(err, store.ErrConflict):
		case errors.Is(err, store.ErrUnknown) && ctx.Err() == nil:
			unheard = true
		default:
			return Record{}, Erasure{}, err
		}
	}
}

// begun returns which erasure answers a request, -1 if none does: the one of its id, or
// else the last one, if no key was made since. known says that it need not be told.
func begun(record *Record, r Request, id uuid.UUID) (nth int, known bool) {
	for i, e := range record.Erased {
		if e.ID == id || slices.Contains(e.Also, id) {
			return i, true
		}
	}
	if n := len(record.Erased); n > 0 && record.Key == (store.KeyID{}) {
		return n - 1, r.ID == uuid.Nil
	}
	return -1, false
}

// answers takes note of a request, in the place of the oldest if there are many.
func (e *Erasure) answers(id uuid.UUID) {
	e.Also = append(slices.Clone(e.Also), id)
	e.Also = e.Also[max(0, len(e.Also)-maxAlso):]
}

// finish takes all steps after the fence. Each may have been taken before.
func (f *Forgetter) finish(ctx context.Context, record Record, e Erasure) (Receipt, error) {
	receipt := receiptOf(f.config.Keys.Realm(), record.Subject, e)
	receipt.took(StepFence)
	for _, s := range []struct {
		step Step
		take func() error
	}{
		{StepErase, func() error { return f.config.Keys.Erase(ctx, record.Subject, record.Revision) }},
		{StepPurge, func() error { return f.config.Purge(ctx, record.Subject) }},
		{StepNotice, func() (err error) {
			receipt.Notice, err = f.config.Notice(ctx, e, record.Subject)
			return err
		}},
		{StepAudit, func() error { return f.config.Audit(ctx, receipt) }},
		{StepDone, func() error { return f.done(ctx, &receipt) }},
	} {
		if err := s.take(); err != nil {
			return receipt, &StepError{Subject: record.Subject, Step: s.step, Err: err}
		}
		receipt.took(s.step)
	}
	return receipt, nil
}

// done marks the erasure as done, unless another did.
func (f *Forgetter) done(ctx context.Context, receipt *Receipt) error {
	for {
		record, err := f.config.Keys.Load(ctx, receipt.Subject)
		if err != nil {
			return err
		}
		n := slices.IndexFunc(record.Erased, func(e Erasure) bool { return e.ID == receipt.ID })
		if n < 0 {
			return fmt.Errorf("%w: the key store does not know the erasure %s any more", store.ErrDamaged, receipt.ID)
		}
		e := &record.Erased[n]
		if !e.Done {
			e.Done, e.Finished, e.Notice = true, time.Now().UTC(), receipt.Notice
			_, err = f.config.Keys.Store(ctx, record)
		}
		switch {
		case err == nil:
			receipt.Done, receipt.Finished, receipt.Notice = true, e.Finished, e.Notice
			return nil
		case errors.Is(err, store.ErrConflict):
		case errors.Is(err, store.ErrUnknown) && ctx.Err() == nil:
		default:
			return err
		}
	}
}

// Resume finishes all forgettings that were begun and not done, and returns their
// receipts. One that fails does not keep it from the others; the errors are joined.
func (f *Forgetter) Resume(ctx context.Context) ([]Receipt, error) {
	var open []Record
	for r, err := range f.config.Keys.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("resume forgetting: %w", err)
		}
		if slices.ContainsFunc(r.Erased, func(e Erasure) bool { return !e.Done }) {
			open = append(open, r)
		}
	}
	var receipts []Receipt
	var errs []error
	for _, record := range open {
		for _, e := range record.Erased {
			if e.Done {
				continue
			}
			receipt, err := f.finish(ctx, record, e)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			receipts = append(receipts, receipt)
		}
	}
	return receipts, errors.Join(errs...)
}

// Receipts returns the receipts of all erasures of a subject, oldest first; none if it
// was never forgotten. The error is the key store's.
func (f *Forgetter) Receipts(ctx context.Context, subject string) ([]Receipt, error) {
	record, err := f.config.Keys.Load(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("receipts of %q: %w", subject, err)
	}
	var receipts []Receipt
	for _, e := range record.Erased {
		receipts = append(receipts, receiptOf(f.config.Keys.Realm(), subject, e))
	}
	return receipts, nil
}
