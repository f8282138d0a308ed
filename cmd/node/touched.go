package node

import (
	"context"
	"sync/atomic"

	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

// touch knows whether an act has taken a step yet that may have had an effect. The zero value: it has not.
type touch struct{ taken atomic.Bool }

// outcome marks the error of the act as [untouched] does, if it has taken none.
func (t *touch) outcome(err error) error {
	if t.taken.Load() {
		return err
	}
	return untouched(err)
}

// keys are a key store in which such steps are noticed.
func (t *touch) keys(of privacy.Keys) privacy.Keys { return &touchedKeys{of, t} }

type touchedKeys struct {
	privacy.Keys
	touch *touch
}

// Store implements [privacy.Keys].
func (k *touchedKeys) Store(ctx context.Context, r privacy.Record) (uint64, error) {
	k.touch.taken.Store(true)
	return k.Keys.Store(ctx, r)
}

// Erase implements [privacy.Keys].
func (k *touchedKeys) Erase(ctx context.Context, subject string, below uint64) error {
	k.touch.taken.Store(true)
	return k.Keys.Erase(ctx, subject, below)
}

// vault is a vault in which such steps are noticed. A draft that was thrown away is none.
func (t *touch) vault(of segment.Vault) segment.Vault { return &touchedVault{of, t} }

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
	v.touch.taken.Store(true)
	return v.Vault.Remove(ctx, name)
}

type touchedDraft struct {
	segment.Draft
	touch *touch
}

// Close implements [segment.Draft].
func (d *touchedDraft) Close() error {
	d.touch.taken.Store(true)
	return d.Draft.Close()
}

// Abort implements [segment.Draft]. What could not be thrown away may still lie there.
func (d *touchedDraft) Abort() error {
	err := d.Draft.Abort()
	if err != nil {
		d.touch.taken.Store(true)
	}
	return err
}
