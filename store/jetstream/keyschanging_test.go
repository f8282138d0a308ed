package jetstream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/store/privacy"
)

// Whoever wants to know hears of each request that may change the key store before it is sent, and of no other: who
// has heard of none has changed nothing.
func TestKeysTellWhatChangesThem(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	k := openKeys(t, &single, KeysConfig{Changing: func() { heard.Add(1) }})
	var r privacy.Record
	fails := func(at string) func() error {
		return func() error {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			again := openKeys(t, &single, k.cfg)
			again.before = func(step string) error {
				if step == at {
					stop()
					return errKeysFault
				}
				return nil
			}
			if _, err := again.RotateKeys(ctx, nil, nil); err == nil || ctx.Err() == nil {
				return errors.Join(err, errors.New("it did not fail there"))
			}
			return nil
		}
	}
	heard.Store(0)
	for _, c := range []struct {
		what    string
		changes bool
		do      func() error
	}{
		{"it stores", true, func() (err error) { r.Revision, err = k.Store(t.Context(), keyRecord("ann")); return err }},
		{"it loads", false, func() (err error) { r, err = k.Load(t.Context(), "ann"); return err }},
		{"it reads all", false, func() error {
			for _, err := range k.All(t.Context()) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"there is nothing to erase", false, func() error { return k.Erase(t.Context(), "ann", r.Revision) }},
		{"it stores again", true, func() (err error) { r.Revision, err = k.Store(t.Context(), forgotten(r)); return err }},
		{"it erases", true, func() error { return k.Erase(t.Context(), "ann", r.Revision) }},
		{"it is opened", false, func() error { _, err := OpenKeys(t.Context(), k.cfg); return err }},
		{"it is whole", false, func() error { return k.Finish(t.Context()) }},
		{"a rotation only reads", false, fails("create")},
		{"a rotation makes a stream", true, fails("rehearse")},
		{"a rotation goes on", true, fails("seal")},
		{"it is rotated", true, func() error { _, err := openKeys(t, &single, k.cfg).RotateKeys(t.Context(), nil, nil); return err }},
		{"one is filled", true, func() error {
			config := k.cfg
			config.Namespace, config.Fill, config.Realm = namespace(t), true, k.Realm()
			_, err := OpenKeys(t.Context(), config)
			return err
		}},
	} {
		before := heard.Load()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if is := heard.Load() > before; is != c.changes {
			t.Errorf("%s: it is told that something changes: %t", c.what, is)
		}
	}
}
