package archive

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// digest sums up which commits came, in order: their places and the hashes of
// their bytes.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) add(c *store.Commit) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], c.Sequence)
	binary.LittleEndian.PutUint64(b[8:], c.Local)
	d.Write(b[:])
	d.Write(c.Hash[:])
}

func (d digest) sum() segment.Sum { return segment.Sum(d.Sum(nil)) }

// prove reads a file back from the vault, and compares it with what the log gave.
func (w *writing) prove(ctx context.Context, s *shelved) error {
	file, err := w.job.archive.config.Vault.Open(ctx, s.Name)
	if err != nil {
		return fmt.Errorf("read back %s: %w", s.Name, gone(s.Name, err))
	}
	defer file.Close()
	r, err := segment.Open(file, file.Size())
	if err == nil {
		err = r.Verify(ctx)
	}
	if err == nil {
		err = sameAs(r, w.sum.sum())
	}
	if err != nil {
		return fmt.Errorf("read back %s: %w", s.Name, err)
	}
	s.Streams = streamsIn(r)
	return nil
}

// sameAs reports whether a file has the commits that were summed up.
func sameAs(r *segment.Reader, want segment.Sum) error {
	got := newDigest()
	for c, err := range r.All(0, 0) {
		if err != nil {
			return err
		}
		got.add(c)
	}
	if got.sum() != want {
		return fmt.Errorf("%w: it does not hold what the log gave", store.ErrDamaged)
	}
	return nil
}
