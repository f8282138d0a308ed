package jetstream

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// Config says which namespace to open, and how to create it if it is not there.
type Config struct {
	// Conn is the connection to the server or cluster. Required. It is the
	// caller's: Close leaves it open.
	Conn *nats.Conn
	// Namespace names the application's data: a lower case letter, then letters,
	// digits and hyphens, at most 64 bytes. Required.
	Namespace string
	// Partitions is the number of slices of the id space, 1 to 4096. Default
	// 128. It is part of every subject, so it is fixed when the namespace is
	// created, and a mismatch refuses to open.
	Partitions int
	// LogStreams is the number of streams that commits are appended to, 1 to 64
	// and at most Partitions: partition p is kept in stream p modulo LogStreams,
	// and one more stream sources them all and gives the total order. Default 1:
	// one stream that is both. More of them cost each append a second way
	// through the server (DESIGN.md). Fixed when the namespace is created, and a
	// mismatch refuses to open.
	LogStreams int
	// Codec encodes the values in commits. Default [store.MsgPack]. Fixed when
	// the namespace is created, and a mismatch refuses to open.
	Codec store.Codec
	// KeepCommands makes the namespace keep the commands beside the events that
	// they led to, so that decisions can be made again; whoever appends asks
	// [Log.KeepsCommands]. Default false: as the namespace has it. It may be
	// switched on for a namespace that exists, for what is appended from then on
	// by those who open it afterwards, and not off.
	KeepCommands bool
	// Replicas is the number of servers that hold each message, 1 to 5. Default
	// 1. A namespace with fewer refuses to open, one with more does not.
	Replicas int
	// InMemory keeps everything in the server's memory only, for data that may
	// be thrown away. Default false: files.
	InMemory bool
	// FilledFrom says that the namespace is to be filled with a history from
	// elsewhere, by a [Loader], and from what: "backup 20260102T030405Z". Open then
	// marks the namespace, which must be empty or have the same mark, and whoever
	// opens it without is refused with an [*UnfinishedError] until [Log.Finish].
	// Default empty: a namespace like any other.
	FilledFrom string
	// SnapshotBytes is the largest snapshot that is saved or loaded, in bytes as
	// it is stored: loading one takes about three times as much memory for a moment.
	// Default, and at most, [store.MaxSnapshotBytes], 64 MiB.
	SnapshotBytes int
	// Barrier returns when everything that the server had acknowledged before
	// the call has reached the disk. One call may serve many that wait. Default
	// nil: an acknowledgement is as durable as it gets, which is true of
	// replicated streams and of servers that sync each write.
	Barrier func(context.Context) error
	// Archive holds the commits that were taken out of the log. Default nil: a log
	// that was truncated is read as far as it goes, and what is missing is a
	// [*store.ArchivedError].
	Archive store.Archive
	// Logger receives what an operator may act on. Default [slog.Default].
	Logger *slog.Logger
}

const (
	defaultPartitions = 128
	maxPartitions     = 4096
	maxLogStreams     = 64
	maxReplicas       = 5
)

func (c Config) withDefaults() Config {
	if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	if c.LogStreams == 0 {
		c.LogStreams = 1
	}
	if c.Codec == nil {
		c.Codec = store.MsgPack
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = store.MaxSnapshotBytes
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	if c.Conn == nil {
		return &store.InvalidError{What: "connection", Reason: "required"}
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return err
	}
	if c.Partitions < 1 || c.Partitions > maxPartitions {
		return outOfRange("number of partitions", c.Partitions, maxPartitions)
	}
	if most := min(maxLogStreams, c.Partitions); c.LogStreams < 1 || c.LogStreams > most {
		return outOfRange("number of log streams", c.LogStreams, most)
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		return outOfRange("number of replicas", c.Replicas, maxReplicas)
	}
	if c.SnapshotBytes < 1 || c.SnapshotBytes > store.MaxSnapshotBytes {
		return outOfRange("snapshot bytes", c.SnapshotBytes, store.MaxSnapshotBytes)
	}
	return nil
}

func outOfRange(what string, value, most int) error {
	return &store.InvalidError{What: what, Value: fmt.Sprint(value), Reason: fmt.Sprintf("want 1 to %d", most)}
}
