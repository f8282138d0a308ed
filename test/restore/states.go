//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// hash is that of a state as it is told, with version, position and time.
type hash [sha256.Size]byte

const (
	askPatience = time.Minute
	askAtOnce   = 64
)

// states asks a system for the state of each stream at a version.
func (s *system) states(ctx context.Context, namespace string, versions map[store.StreamID]uint64) (map[store.StreamID]hash, error) {
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: s.conn, Namespace: namespace, Timeout: askPatience})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all := make(map[store.StreamID]hash, len(versions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for id, version := range versions {
		group.Go(func() error {
			state, err := client.State(ctx, id, actor.At{Version: version})
			if err != nil {
				return err
			}
			text := fmt.Appendf(nil, "%d %d %s %s", state.Version, state.Position, state.Time.UTC().Format(time.RFC3339Nano), state.State)
			mu.Lock()
			defer mu.Unlock()
			all[id] = sha256.Sum256(text)
			return nil
		})
	}
	return all, group.Wait()
}

// log reads the whole log of a namespace.
func (s *system) log(ctx context.Context, namespace string) ([]*store.Commit, error) {
	config, err := jetstream.Existing(ctx, s.conn, namespace)
	if err != nil {
		return nil, err
	}
	log, err := jetstream.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	tip, err := log.Tip(ctx)
	if err != nil {
		return nil, err
	}
	feed, err := log.Follow(ctx, store.Follow{})
	if err != nil {
		return nil, err
	}
	defer feed.Close()
	var all []*store.Commit
	for at := store.Position(0); at < tip; {
		batch, err := feed.Next(ctx, 1024)
		if err != nil {
			return nil, err
		}
		for _, c := range batch {
			if at = c.Last(); !actor.Reserved(c.Stream.Type) { // that it was restored is written down
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// versionsOf returns where each stream is after the commits.
func versionsOf(commits []*store.Commit) map[store.StreamID]uint64 {
	versions := map[store.StreamID]uint64{}
	for _, c := range commits {
		versions[c.Stream] = c.Head().Version
	}
	return versions
}

// differences counts the streams that are not in both with the same hash.
func differences(want, got map[store.StreamID]hash) (n int) {
	for id, h := range want {
		if g, has := got[id]; !has || g != h {
			n++
		}
	}
	for id := range got {
		if _, wanted := want[id]; !wanted {
			n++
		}
	}
	return n
}

// commitsThatDiffer counts the places at which two logs have not the same commit.
func commitsThatDiffer(want, got []*store.Commit) int {
	n := max(len(want), len(got)) - min(len(want), len(got))
	for i := range min(len(want), len(got)) {
		if want[i].Hash != got[i].Hash || want[i].Sequence != got[i].Sequence || want[i].Stream != got[i].Stream {
			n++
		}
	}
	return n
}
