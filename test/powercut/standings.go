//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// readStandings returns what the buckets of the views hold, straight from
// their streams: the position of each document and of each checkpoint.
func readStandings(ctx context.Context, nc *nats.Conn) ([]standing, error) {
	buckets, err := viewBuckets(ctx, nc)
	if err != nil {
		return nil, err
	}
	var all []standing
	for _, bucket := range buckets {
		err := eachMessage(ctx, nc, "KV_"+bucket, func(m message) error {
			s, err := standingOf(bucket, m)
			all = append(all, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func viewBuckets(ctx context.Context, nc *nats.Conn) ([]string, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	var buckets []string
	names := js.KeyValueStoreNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, "ANNALS_"+namespace+"_view_") {
			buckets = append(buckets, name)
		}
	}
	return buckets, names.Error()
}

// standingOf reads a document's header, or a checkpoint.
func standingOf(bucket string, m message) (standing, error) {
	what := fmt.Sprintf("%s in bucket %s", m.subject, bucket)
	if text := m.header.Get("Annals-Position"); text != "" {
		p, err := strconv.ParseUint(text, 10, 64)
		return standing{what, store.Position(p)}, err
	}
	if m.header.Get("KV-Operation") != "" {
		return standing{what: what}, nil // a deletion rests on nothing
	}
	var checkpoint struct {
		Position *store.Position `json:"position"`
	}
	if err := json.Unmarshal(m.data, &checkpoint); err != nil || checkpoint.Position == nil {
		return standing{}, fmt.Errorf("%s is neither a document nor a checkpoint", what)
	}
	return standing{what, *checkpoint.Position}, nil
}

// readSnapshots returns the snapshots that can be read. One that cannot is no
// finding: a snapshot is a cache.
func readSnapshots(ctx context.Context, nc *nats.Conn) ([]*store.Snapshot, error) {
	var all []*store.Snapshot
	err := eachMessage(ctx, nc, "KV_ANNALS_"+namespace+"_snapshots", func(m message) error {
		if s, err := store.DecodeSnapshot(m.data); err == nil {
			all = append(all, s)
		}
		return nil
	})
	return all, err
}
