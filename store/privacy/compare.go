package privacy

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Compare compares every record in the key store with the log's notices of its subject, and mends
// those that lack an erasure: what was put back does not wait for somebody to read it. It asks for one subject
// after the other, and holds nothing. It returns how many records it has mended. A subject whose record or
// notices are damaged keeps it from no other; the first such error is returned at the end. Errors match
// [store.ErrUnavailable] if it could not ask on, and [store.ErrRefused] if this process may not write keys.
func (k *Keyring) Compare(ctx context.Context) (mended int, err error) {
	var damaged error
	for r, err := range k.config.Keys.All(ctx) {
		if err != nil {
			return mended, fmt.Errorf("compare keys with the log: %w", err)
		}
		did, err := k.compareOne(ctx, &r)
		switch {
		case errors.Is(err, store.ErrDamaged):
			damaged = first(damaged, err)
		case err != nil:
			return mended, fmt.Errorf("compare keys with the log: %w", err)
		case did:
			mended++
		}
	}
	if damaged != nil {
		return mended, fmt.Errorf("compare keys with the log: %w", damaged)
	}
	return mended, nil
}

// compareOne reports whether it has mended the record, which was loaded before.
func (k *Keyring) compareOne(ctx context.Context, r *Record) (mended bool, err error) {
	if r.IsWrapping() {
		return false, nil
	}
	told, err := k.noticed(ctx, r.Subject)
	if err != nil || !lacks(r, told) {
		return false, err
	}
	now, err := k.config.Keys.Load(ctx, r.Subject) // it may have been erased after the record was loaded
	if err != nil || !lacks(&now, told) {
		return false, err
	}
	with, err := k.Record(ctx, r.Subject)
	if err == nil && with.Revision == now.Revision {
		err = fmt.Errorf("%w: a record that lacks an erasure cannot be stored", store.ErrRefused)
	}
	return err == nil, err
}
