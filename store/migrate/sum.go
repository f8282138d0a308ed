package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"

	"github.com/annals-go/annals/store"
)

// Sum is what a log comes to: how much there is, and a running hash over the
// hashes of all commits in order, so that one that is missing, changed, doubled
// or in another place shows.
type Sum struct {
	Commits uint64 `json:"commits"`
	Events  uint64 `json:"events"`
	Hash    Digest `json:"hash"`
}

// Digest is a SHA-256 (FIPS 180-4).
type Digest [sha256.Size]byte

// String prints the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText prints the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (s *Sum) add(c *store.Commit) {
	s.Commits++
	s.Events += uint64(len(c.Events))
	h := sha256.New()
	h.Write(s.Hash[:])
	h.Write(c.Hash[:])
	h.Sum(s.Hash[:0])
}

// batch is how many commits are taken from a feed at once.
const batch = 256

// SumOf reads a log up to a position, which must be the last of a commit, or 0
// for nothing. The errors are those of [store.Log].
func SumOf(ctx context.Context, log store.Log, to store.Position) (Sum, error) {
	var s Sum
	err := each(ctx, log, 0, to, func(c *store.Commit) error { s.add(c); return nil })
	return s, err
}

// SumAll takes commits in order, such as those of a backup, to the first error.
func SumAll(commits iter.Seq2[*store.Commit, error]) (Sum, error) {
	var s Sum
	for c, err := range commits {
		if err != nil {
			return s, err
		}
		s.add(c)
	}
	return s, nil
}

// each passes the commits after a position up to another.
func each(ctx context.Context, log store.Log, after, to store.Position, do func(*store.Commit) error) error {
	if after >= to {
		return nil
	}
	feed, err := log.Follow(ctx, store.Follow{After: after})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for after < to {
		commits, err := feed.Next(ctx, batch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if after = c.Last(); after > to {
				return fmt.Errorf("%w: no commit ends at position %d", store.ErrDamaged, to)
			}
			if err := do(c); err != nil { // which may change c
				return err
			}
			if after == to { // what comes behind it was stored meanwhile
				return nil
			}
		}
	}
	return nil
}
