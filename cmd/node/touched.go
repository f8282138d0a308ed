package node

import (
	"context"
	"sync/atomic"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/segment"
)

// touch knows whether an act has taken a step yet that may have had an effect. The zero value: it has not.
type touch struct{ taken atomic.Bool }

// take says that such a step is taken now.
func (t *touch) take() { t.taken.Store(true) }

// outcome marks the error of the act as [untouched] does, if it has taken none.
func (t *touch) outcome(err error) error {
	if t.taken.Load() {
		return err
	}
	return untouched(err)
}

// vault is a vault in which such steps are noticed. A draft that was thrown away is none.
func (t *touch) vault(of segment.Vault) segment.Vault { return &touchedVault{of, t} }

// log is a log in which it is noticed that it is relieved of something.
func (t *touch) log(of archive.Log) archive.Log { return &touchedLog{of, t} }

type touchedLog struct {
	archive.Log
	touch *touch
}

// Truncate implements [store.Truncater].
func (l *touchedLog) Truncate(ctx context.Context, stream store.StreamID, to store.Head) error {
	l.touch.take()
	return l.Log.Truncate(ctx, stream, to)
}

type touchedVault struct {
	segment.Vault
	touch *touch
}

// Create implements [segment.Vault].
func (v *touchedVault) Create(ctx context.Context, name string) (segment.Draft, error) {
	draft, err := v.Vault.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &touchedDraft{draft, v.touch}, nil
}

// Remove implements [segment.Vault].
func (v *touchedVault) Remove(ctx context.Context, name string) error {
	v.touch.take()
	return v.Vault.Remove(ctx, name)
}

type touchedDraft struct {
	segment.Draft
	touch *touch
}

// Close implements [segment.Draft].
func (d *touchedDraft) Close() error {
	d.touch.take()
	return d.Draft.Close()
}

// Abort implements [segment.Draft]. What could not be thrown away may still lie there.
func (d *touchedDraft) Abort() error {
	err := d.Draft.Abort()
	if err != nil {
		d.touch.take()
	}
	return err
}
