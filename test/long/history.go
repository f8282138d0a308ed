package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/bank"
)

// late is how many events follow the snapshot.
const late = 99

// write fills the namespace with the history, but for the last events.
func (t *trial) write(ctx context.Context) error {
	log, err := jetstream.Open(ctx, jetstream.Config{Conn: t.conn, Namespace: "bank", FilledFrom: "the trial of a long stream"})
	if err != nil {
		return err
	}
	defer log.Close()
	loader, err := log.Loader(ctx)
	if err != nil {
		return err
	}
	defer loader.Close()
	heads := map[store.StreamID]store.Head{}
	add := func(id store.StreamID) error {
		c, err := deposit(id, heads[id])
		if err == nil {
			heads[id], err = loader.Place(ctx, c)
		}
		return err
	}
	for n := range t.out.Events - late {
		if t.others > 0 && n%t.others == 0 {
			t.out.Others++
			if err := add(store.StreamID{Type: long.Type, ID: fmt.Sprint("other-", n%17_000)}); err != nil {
				return err
			}
		}
		if err := add(long); err != nil {
			return err
		}
	}
	if err := loader.Flush(ctx); err != nil {
		return err
	}
	return log.Finish(ctx)
}

// deposit is the next commit of an account: its opening, or a cent.
func deposit(id store.StreamID, after store.Head) (*store.Commit, error) {
	command, event := "deposit", bank.Event(bank.Deposited{Cents: int64(after.Version % 7)})
	if after.Version == 0 {
		command, event = "open", bank.Opened{Owner: "Ann"}
	}
	encoded, err := bank.Accounts.Events.Encode(store.MsgPack, event)
	if err != nil {
		return nil, err
	}
	return &store.Commit{
		Stream: id, ID: uuid.New(), After: after, Time: time.Now().UTC(),
		Commands: []store.Command{{ID: uuid.NewString(), Name: command, Principal: "ann"}},
		Events:   []store.Event{encoded.Event(0)},
	}, nil
}

// makeSnapshot has the long stream's snapshot made, and then the last events
// appended.
func (t *trial) makeSnapshot(ctx context.Context) error {
	system, err := t.system(true)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- system.Run(running) }()
	_, err = system.Read(ctx, long, false)
	stop()
	if ended := <-done; err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	snapshot, err := t.log.Snapshots().Load(ctx, long)
	if err != nil {
		return err
	}
	head := snapshot.Head
	for range late {
		c, err := deposit(long, head)
		if err != nil {
			return err
		}
		if head, err = t.log.Append(ctx, c); err != nil {
			return err
		}
	}
	if head.Version != t.out.Events {
		return fmt.Errorf("the stream ends at version %d, want %d", head.Version, t.out.Events)
	}
	return nil
}
