package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/store"
)

// traces yields the histories of the bank's file, or invented ones if there is
// none, until there are so many events; the last one is cut there.
func traces(path string, events int) iter.Seq2[*history.Trace, error] {
	return func(yield func(*history.Trace, error) bool) {
		left := events
		for t, err := range source(path) {
			if err == nil && len(t.Events) > left {
				t.Events = t.Events[:left]
			}
			if !yield(t, err) || err != nil {
				return
			}
			if left -= len(t.Events); left == 0 {
				return
			}
		}
		if path != "" {
			yield(nil, fmt.Errorf("%s has %d events fewer than %d", path, left, events))
		}
	}
}

func source(path string) iter.Seq2[*history.Trace, error] {
	if path == "" {
		return invented
	}
	return func(yield func(*history.Trace, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }() // it was only read
		text, err := gzip.NewReader(file)
		if err != nil {
			yield(nil, err)
			return
		}
		history.Read(text)(yield)
	}
}

func invented(yield func(*history.Trace, error) bool) {
	for t := range history.Sample(history.MaxApplications, 1) {
		if !yield(t, nil) {
			return
		}
	}
}

// writers is how many applications are appended at once.
const writers = 512

// fill appends the histories as the domain decides them, one commit for each
// command, as a node under light load stores them.
func fill(ctx context.Context, log store.Log, traces iter.Seq2[*history.Trace, error]) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(writers)
	for t, err := range traces {
		if err != nil {
			all.Go(func() error { return err })
			break
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() error { return appendTrace(ctx, log, t) })
	}
	return all.Wait()
}

func appendTrace(ctx context.Context, log store.Log, t *history.Trace) error {
	var state application.Application
	var head store.Head
	id := store.StreamID{Type: application.Applications.Type, ID: t.Application}
	for i := range t.Events {
		command, err := t.Command(i)
		if err != nil {
			return err
		}
		events, err := state.Decide(command)
		if err != nil {
			return fmt.Errorf("application %s, event %d: %w", t.Application, i, err)
		}
		c := &store.Commit{
			Stream: id, ID: uuid.New(), After: head, Time: time.Now().UTC().Truncate(time.Microsecond),
			Commands: []store.Command{{ID: t.CommandID(i), Name: "command-" + strconv.Itoa(i)}},
		}
		for _, e := range events {
			encoded, err := application.Applications.Events.Encode(log.Codec(), e)
			if err != nil {
				return err
			}
			c.Events = append(c.Events, encoded.Event(0))
			state = state.Evolve(e)
		}
		if head, err = log.Append(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// readLog returns all commits of a log, in its order.
func readLog(ctx context.Context, log store.Log) ([]*store.Commit, error) {
	tip, err := log.Tip(ctx)
	if err != nil {
		return nil, err
	}
	feed, err := log.Follow(ctx, store.Follow{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = feed.Close() }() // it has served
	var all []*store.Commit
	for len(all) == 0 || all[len(all)-1].Last() < tip {
		commits, err := feed.Next(ctx, 2000)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		all = append(all, commits...)
	}
	return all, nil
}
