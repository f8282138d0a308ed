package node

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
)

// refuseKeyless refuses to make a key store for a log that has sealed values: its keys are lost, or not
// restored yet, and beside new ones nobody would ever find that out. It reads the log to its end, unless it
// finds one: once, for then there is a key store.
func (s *Session) refuseKeyless(ctx context.Context, log store.Log) error {
	tip, err := log.Tip(ctx)
	if err != nil || tip == 0 {
		return err
	}
	s.Logger().Info("looking whether the log has sealed values, for there is no key store", "position", uint64(tip))
	at, err := firstSealed(ctx, log, tip)
	if err != nil || at == 0 {
		return err
	}
	return &Failure{
		Code: codeKeysGone, Exit: console.ExitFailure, What: "namespace " + s.Namespace() + " has personal data, and its key store is not there",
		Why: "the commit at position " + strconv.FormatUint(uint64(at), 10) + " has sealed values, which new keys would not open",
		Fix: "give it its keys back from their copy: " + s.app.Name + " keys restore PLACE --ns " + s.Namespace(),
	}
}

// firstSealed returns where the first commit with sealed values is, up to a position; 0 if there is none.
func firstSealed(ctx context.Context, log store.Log, to store.Position) (at store.Position, err error) {
	feed, err := log.Follow(ctx, store.Follow{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, feed.Close()) }()
	for at < to {
		commits, err := feed.Next(ctx, sealedBatch)
		if err != nil {
			return 0, err
		}
		for _, c := range commits {
			if at = c.Last(); holdsSealed(log.Codec(), c) {
				return at, nil
			}
		}
	}
	return 0, nil
}

// sealedBatch is how many commits are looked through at a time.
const sealedBatch = 256

func holdsSealed(codec store.Codec, c *store.Commit) bool {
	return slices.ContainsFunc(c.Events, func(e store.Event) bool { return store.HoldsSealed(codec, e.Data) }) ||
		slices.ContainsFunc(c.Commands, func(m store.Command) bool { return store.HoldsSealed(codec, m.Data) })
}
