package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// rotationAge is how old a rotation's last sign of life must be before another goes on
// with it.
const rotationAge = 6 * time.Second

// lease says who fills an epoch: one at a time, renewed while it lives. What it does is
// safe without; the lease keeps two from doing it twice, and from wrapping keys in two
// ways.
type lease struct {
	keys     *Keys
	epoch    *keysEpoch
	by       string
	sequence uint64 // of its last word
}

// leaseWord is what is stored of it.
type leaseWord struct {
	By   string `json:"by"`
	Done bool   `json:"done,omitempty"`
}

// claim takes the lease of an epoch. The error matches [store.ErrConflict] if another
// has it and lives.
func (k *Keys) claim(ctx context.Context, e *keysEpoch) (*lease, error) {
	l := &lease{keys: k, epoch: e, by: rand.Text()}
	began := time.Now()
	seen := uint64(0)
	for {
		word, sequence, err := l.look(ctx)
		switch {
		case err != nil:
			return nil, err
		case seen > 0 && sequence != seen:
			return nil, l.taken()
		case sequence == 0 || word.Done || time.Since(began) >= k.leaseAge:
			l.sequence = sequence
			return l, l.say(ctx, leaseWord{By: l.by})
		}
		seen = sequence
		if err := pause(ctx, 8); err != nil {
			return nil, unavailable(err)
		}
	}
}

func (l *lease) taken() error {
	return fmt.Errorf("%w: another rotation of the keys is under way", store.ErrConflict)
}

// look returns the last word, and where it is; sequence 0 if there is none.
func (l *lease) look(ctx context.Context) (word leaseWord, sequence uint64, err error) {
	err = steadily(ctx, func(ctx context.Context) error {
		m, err := l.keys.fetch(ctx, l.epoch, lastOn(l.epoch.rotation))
		if errors.Is(err, errNone) {
			sequence = 0
			return nil
		}
		if err == nil {
			sequence, err = m.sequence, json.Unmarshal(m.data, &word)
		}
		return err
	})
	return word, sequence, err
}

// say stores a word after the last one. That another stands there is a conflict, unless
// it is this lease's own, from a try without an answer.
func (l *lease) say(ctx context.Context, word leaseWord) error {
	data, err := json.Marshal(word)
	if err != nil {
		return err
	}
	return steadily(ctx, func(ctx context.Context) error {
		m := &nats.Msg{Subject: l.epoch.rotation, Data: data, Header: nats.Header{expectedLastSubject: {strconv.FormatUint(l.sequence, 10)}}}
		l.keys.cfg.Changing()
		answer, err := l.keys.cfg.Conn.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		got := readAnswer(answer)
		switch got.verdict {
		case stored:
			l.sequence = got.sequence
			return nil
		case moved:
			return l.recognise(ctx, word)
		}
		return got.reason
	})
}

func (l *lease) recognise(ctx context.Context, want leaseWord) error {
	has, sequence, err := l.look(ctx)
	switch {
	case err != nil:
		return err
	case sequence <= l.sequence:
		return fmt.Errorf("the leader does not know yet what another knew")
	case has.By != l.by:
		return l.taken()
	}
	l.sequence = sequence
	if has != want {
		return fmt.Errorf("an earlier word arrived late")
	}
	return nil
}

// hold renews the lease until release is called. The context that it returns ends when
// the lease is lost.
func (l *lease) hold(ctx context.Context) (held context.Context, release func()) {
	held, cancel := context.WithCancelCause(ctx)
	renewing, stop := context.WithCancel(held)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(l.keys.leaseAge / 3)
		defer tick.Stop()
		for {
			select {
			case <-renewing.Done():
				return
			case <-tick.C:
			}
			once, end := context.WithTimeout(renewing, l.keys.leaseAge/3)
			if err := l.say(once, leaseWord{By: l.by}); errors.Is(err, store.ErrConflict) {
				cancel(err)
			}
			end()
		}
	})
	return held, func() {
		stop()
		wg.Wait()
		cancel(nil)
	}
}
