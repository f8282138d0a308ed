package privacy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var errCrash = errors.New("crash")

// site is all that a forgetting touches. It crashes at one call, before it has an
// effect or after it: the call fails, or whoever made it is no more.
type site struct {
	keys    *faulty
	wrapper privacy.Wrapper
	ring    *privacy.Keyring

	mu      sync.Mutex
	calls   int
	crashAt int
	deadly  bool
	notices map[uuid.UUID]int
	audits  map[uuid.UUID]int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{keys: &faulty{Keys: privacy.NewMemory()}, notices: map[uuid.UUID]int{}, audits: map[uuid.UUID]int{}}
	s.wrapper = wrapper(t)
	s.restart(t)
	s.keys.set(s.crash, s.crash)
	return s
}

// restart loses all that is not in the key store.
func (s *site) restart(t *testing.T) {
	t.Helper()
	s.ring = ringOf(t, s.keys.Keys, s.wrapper) // which is not disturbed
}

func (s *site) crash(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.calls == s.crashAt && s.deadly {
		runtime.Goexit()
	}
	if s.calls == s.crashAt {
		return errCrash
	}
	return nil
}

func (s *site) step(do func() error) error {
	if err := s.crash(""); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return s.crash("")
}

func (s *site) forgetter(t *testing.T) *privacy.Forgetter {
	t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: s.keys,
		Purge: func(ctx context.Context, subject string) error {
			return s.step(func() error { return s.ring.Purge(ctx, subject) })
		},
		Notice: func(_ context.Context, e privacy.Erasure, _ string) (store.Position, error) {
			return 7, s.step(func() error { s.count(s.notices, e.ID); return nil })
		},
		Audit: func(_ context.Context, r privacy.Receipt) error {
			return s.step(func() error { s.count(s.audits, r.ID); return nil })
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *site) count(of map[uuid.UUID]int, id uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of[id]++
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sealed, ref := sealFor(t, s.ring, "ann")
	before, err := s.keys.Keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	r := mustForget(t, s.forgetter(t), "ann")
	var steps []string
	for _, taken := range r.Steps {
		steps = append(steps, string(taken.Step))
	}
	if got := strings.Join(steps, " "); got != "fence erase purge notice audit done" {
		t.Errorf("steps: %s", got)
	}
	if !r.Done || r.Key != ref.ID.String() || r.Notice != 7 || r.By != "officer" || r.Why == "" || r.Finished.IsZero() || r.Realm != s.keys.Realm() {
		t.Errorf("receipt %+v", r)
	}
	if opens(t, s.ring, sealed) {
		t.Error("it can be read")
	}
	if s.keys.Keys.(*privacy.Memory).Holds(before.Wrapped) {
		t.Error("the wrapped key is there still")
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again privacy.Receipt
	if err := json.Unmarshal(text, &again); err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
		t.Errorf("the receipt through JSON: %+v, %v", again, err)
	}
	// Again: the same erasure, and no further step.
	second := mustForget(t, s.forgetter(t), "ann")
	if second.ID != r.ID || !second.Done || len(second.Steps) != 0 || s.notices[r.ID] != 1 || second.Notice != 7 {
		t.Errorf("forgotten again: %+v", second)
	}
	// Seen again, forgotten again: another erasure, and the first one stays known.
	sealFor(t, s.ring, "ann")
	third := mustForget(t, s.forgetter(t), "ann")
	receipts, err := s.forgetter(t).Receipts(t.Context(), "ann")
	if err != nil || len(receipts) != 2 || third.ID == r.ID || receipts[0].ID != r.ID || receipts[1].ID != third.ID {
		t.Errorf("receipts %+v, %v", receipts, err)
	}
	if opens(t, s.ring, sealed) {
		t.Error("the first data are back")
	}
}

func TestForgetByID(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.forgetter(t)
	sealFor(t, s.ring, "ann")
	request := privacy.Request{Subject: "ann", ID: uuid.New()}
	first, err := f.Forget(t.Context(), request)
	if err != nil || first.ID != request.ID {
		t.Fatalf("forget: %+v, %v", first, err)
	}
	sealed, _ := sealFor(t, s.ring, "ann")
	if again, err := f.Forget(t.Context(), request); err != nil || again.ID != request.ID || !opens(t, s.ring, sealed) {
		t.Errorf("the same request again has erased the next key (%v)", err)
	}
}

func TestForgetWhomNobodyKnows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := mustForget(t, s.forgetter(t), "nobody")
	if !r.Done || r.Key != "" || s.notices[r.ID] != 1 {
		t.Errorf("receipt %+v", r)
	}
	if again := mustForget(t, s.forgetter(t), "nobody"); again.ID != r.ID {
		t.Error("the second is another one")
	}
}

func TestForgetRefuses(t *testing.T) {
	t.Parallel()
	f := newSite(t).forgetter(t)
	_, err := f.Forget(t.Context(), privacy.Request{Subject: "a\nb"})
	wantError(t, "a subject that cannot be", err, store.ErrInvalid)
	_, err = f.Forget(t.Context(), privacy.Request{Subject: "ann", Why: strings.Repeat("x", 2000)})
	wantError(t, "a reason without end", err, store.ErrTooLarge)
	if _, err := privacy.NewForgetter(privacy.ForgetterConfig{}); err == nil {
		t.Error("a forgetter without steps was made")
	}
}

// Whatever call a forgetting crashes at, by an error or with all that was in memory, it can
// be gone on with: by asking again, and by whoever resumes what is open. Then all is done, once.
func TestForgetCrashesAnywhere(t *testing.T) {
	t.Parallel()
	calls := 0
	at := map[privacy.Step][2]int{} // how often before, and after
	for crashAt := 0; crashAt <= calls; crashAt++ {
		for _, way := range waysToCrash() {
			n, step := crashOnce(t, crashAt, way)
			if crashAt == 0 {
				calls = n
			}
			times := at[step]
			times[(crashAt+1)%2]++ // each call has two places, the first is before it
			at[step] = times
		}
	}
	for _, step := range []privacy.Step{privacy.StepFence, privacy.StepErase, privacy.StepPurge, privacy.StepNotice, privacy.StepAudit, privacy.StepDone} {
		if at[step][0] == 0 || at[step][1] == 0 {
			t.Errorf("step %s was interrupted %d times before it had an effect, %d times after", step, at[step][0], at[step][1])
		}
	}
}

// crashing is how a forgetting crashes and is gone on with.
type crashing struct{ deadly, resume, seenAgain bool }

func waysToCrash() []crashing {
	var all []crashing
	for i := range 8 {
		all = append(all, crashing{i&1 > 0, i&2 > 0, i&4 > 0})
	}
	return all
}

// forgetOrDie forgets, and reports how far it came; dead is set if it never returned.
func (s *site) forgetOrDie(t *testing.T, r privacy.Request) (receipt privacy.Receipt, err error, dead bool) {
	t.Helper()
	f, done := s.forgetter(t), make(chan struct{})
	dead = true
	go func() {
		defer close(done)
		receipt, err = f.Forget(t.Context(), r)
		dead = false
	}()
	<-done
	return receipt, err, dead
}

func crashOnce(t *testing.T, crashAt int, way crashing) (calls int, step privacy.Step) {
	t.Helper()
	what := fmt.Sprintf("crash at call %d, %+v", crashAt, way)
	s := newSite(t)
	sealed, ref := sealFor(t, s.ring, "ann")
	before, err := s.keys.Keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	s.calls, s.crashAt, s.deadly = 0, crashAt, way.deadly
	request := privacy.Request{Subject: "ann", ID: uuid.New()}
	first, err, dead := s.forgetOrDie(t, request)
	calls = s.calls
	var stopped *privacy.StepError
	if errors.As(err, &stopped) {
		step = stopped.Step
	}
	switch {
	case dead != (way.deadly && crashAt > 0):
		t.Fatalf("%s: died %v", what, dead)
	case crashAt > 0 && !dead && (!errors.Is(err, errCrash) || stopped == nil || first.Done):
		t.Fatalf("%s: %+v, %v", what, first, err)
	}
	if dead {
		s.restart(t)
	}
	record, err := s.keys.Keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	fenced := record.WasErased(ref.ID)
	// What a node writes before it has heard of the erasure belongs to what is forgotten.
	var next []byte
	var nextKey store.KeyRef
	if way.seenAgain {
		next, nextKey = sealFor(t, s.ring, "ann")
	}
	s.crashAt, s.deadly = 0, false
	if way.resume && fenced {
		if _, err := s.forgetter(t).Resume(t.Context()); err != nil {
			t.Fatalf("%s: resume: %v", what, err)
		}
	} else if r, err := s.forgetter(t).Forget(t.Context(), request); err != nil || !r.Done {
		t.Fatalf("%s: forget again: %+v, %v", what, r, err)
	}
	if opens(t, s.ring, sealed) || s.keys.Keys.(*privacy.Memory).Holds(before.Wrapped) {
		t.Fatalf("%s: not forgotten", what)
	}
	if way.seenAgain && opens(t, s.ring, next) != (nextKey != ref) {
		t.Fatalf("%s: what came after the fence, under key %s, is readable: %v", what, nextKey.ID, nextKey == ref)
	}
	receipts, err := s.forgetter(t).Receipts(t.Context(), "ann")
	if err != nil || len(receipts) != 1 || !receipts[0].Done || s.notices[request.ID] == 0 || s.audits[request.ID] == 0 {
		t.Fatalf("%s: receipts %+v, %v", what, receipts, err)
	}
	return calls, step
}

// TestForgetAgainstModel does at random what may happen to subjects, on two nodes with
// crashes, and holds the outcome against a model: what was forgotten never reads again,
// all else always does.
func TestForgetAgainstModel(t *testing.T) {
	t.Parallel()
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, seed)
		})
	}
}

type modelValue struct {
	subject string
	sealed  []byte
	key     store.KeyID
}

func runModel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t)
	w := wrapper(t)
	rings := []*privacy.Keyring{
		ringWith(t, privacy.KeyringConfig{Keys: s.keys.Keys, Wrapper: w, Capacity: 2}),
		ringWith(t, privacy.KeyringConfig{Keys: s.keys.Keys, Wrapper: w, Capacity: 100}),
	}
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: s.keys,
		Purge: func(ctx context.Context, subject string) error {
			return s.step(func() error { return errors.Join(rings[0].Purge(ctx, subject), rings[1].Purge(ctx, subject)) })
		},
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) {
			return 1, s.step(func() error { return nil })
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var values []modelValue
	dead := map[store.KeyID]bool{}
	open := map[string]bool{} // forgettings that crashed after the fence
	subjects := []string{"ann", "bob", "cas", "dea"}
	for range 300 {
		subject, k := subjects[random.IntN(len(subjects))], rings[random.IntN(2)]
		switch random.IntN(8) {
		case 0, 1, 2:
			// A node that has not heard of an erasure yet may use the key until its word is
			// asked for: such values are born dead.
			sealed, ref := sealFor(t, k, subject)
			values = append(values, modelValue{subject, sealed, ref.ID})
		case 3:
			s.calls, s.crashAt = 0, random.IntN(16)
			r, err := f.Forget(t.Context(), privacy.Request{Subject: subject})
			s.crashAt = 0
			record, loadErr := s.keys.Keys.Load(t.Context(), subject)
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			open[subject] = err != nil
			if err == nil && !r.Done {
				t.Fatalf("forgotten, and not done: %+v", r)
			}
			if err == nil {
				for _, e := range record.Erased {
					dead[e.Key] = true
				}
			}
		case 4:
			if _, err := f.Resume(t.Context()); err != nil {
				t.Fatalf("resume: %v", err)
			}
			for _, subject := range subjects {
				record, err := s.keys.Keys.Load(t.Context(), subject)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range record.Erased {
					dead[e.Key] = true
				}
			}
			clear(open)
		case 5:
			if _, err := privacy.Rewrap(t.Context(), s.keys.Keys, w, nil); err != nil {
				t.Fatalf("rewrap: %v", err)
			}
		default:
			for _, v := range values {
				readable := opens(t, k, v.sealed)
				switch {
				case dead[v.key] && readable:
					t.Fatalf("seed %d: a value of %s under key %s reads after it was forgotten", seed, v.subject, v.key)
				case !dead[v.key] && !open[v.subject] && !readable && !fencedNow(t, s, v):
					t.Fatalf("seed %d: a value of %s under key %s is gone, and nobody forgot it", seed, v.subject, v.key)
				}
			}
		}
	}
}

// fencedNow reports whether the key store says that the value's key was erased.
func fencedNow(t *testing.T, s *site, v modelValue) bool {
	t.Helper()
	record, err := s.keys.Keys.Load(t.Context(), v.subject)
	if err != nil {
		t.Fatal(err)
	}
	return record.WasErased(v.key)
}

// Many forget the same subject at once, while it is seen again all the time: each gets a
// receipt, and nothing of before reads afterwards.
func TestForgettersRace(t *testing.T) {
	t.Parallel()
	keys, w := privacy.NewMemory(), wrapper(t)
	rings := []*privacy.Keyring{ringOf(t, keys, w), ringOf(t, keys, w)}
	f := forgetter(t, keys, rings...)
	stop := make(chan struct{})
	var writers, wg sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				data, spans := encode(t, store.MsgPack, field{"email", "x", "ann"})
				if _, _, err := rings[i].Seal(t.Context(), eventScope(), store.MsgPack, data, spans); err != nil {
					t.Errorf("seal: %v", err)
					return
				}
			}
		})
	}
	sealed, _ := sealFor(t, rings[0], "ann")
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				r, err := f.Forget(t.Context(), privacy.Request{Subject: "ann", By: fmt.Sprint(i)})
				if err != nil || !r.Done {
					t.Errorf("forget: %+v, %v", r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	writers.Wait()
	for _, k := range rings {
		if opens(t, k, sealed) {
			t.Error("it can be read")
		}
	}
	record, err := keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range record.Erased {
		if !e.Done || e.At.After(time.Now()) {
			t.Errorf("erasure %+v", e)
		}
	}
}
