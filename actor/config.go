package actor

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/store"
)

// Config says what a [System] runs. Log and Aggregates are needed; every other
// field may be left at its zero value.
type Config struct {
	// Log holds the streams.
	Log store.Log
	// Snapshots caches folded prefixes. Nil: every activation replays.
	Snapshots store.Snapshots
	// Aggregates are the kinds of aggregates that the system runs.
	Aggregates []Definition

	// Builtin are this module's own, whose types begin with "annals-"; those of
	// Aggregates must not. Nobody is told of them: see [System.Definitions]. Default: none.
	Builtin []Definition
	// Keyring says which keys of personal data were erased, where the log keeps such
	// data: the one that the log has. An actor whose state was folded from data that
	// were erased is loaded anew before its next turn. Nil: that is found out when it
	// appends, but not when it is read.
	Keyring Keyring

	// Shared says that other systems may serve the same streams at the same
	// time. Appends are safe anyway; with it, an answer that stores nothing, such
	// as a rejection, is checked against the log first, for one read. Leave it
	// false where leases see to it that a stream has one owner.
	Shared bool
	// KeepCommands stores each command beside the events that it led to, so that
	// its decision can be made again (package actor/trial). It is a setting of
	// the namespace: pass what the log says. The price is the encoded command in
	// each commit, which has to hold a command and its events together. Default
	// false.
	KeepCommands bool
	// Leases say which partitions this system serves, and under which epoch.
	// With them all partitions begin closed, see [System.Open]. Nil: the system
	// serves alone, and everything is open.
	Leases Leases
	// Partitions is how many partitions the ids are spread over. Default, and
	// the only value allowed: what Log has.
	Partitions int
	// MailboxLen is how many commands may wait for one actor. One more is
	// answered [ErrBusy]. Default 1,024: what one commit can hold.
	MailboxLen int
	// MaxActors is how many actors stay in memory; beyond it the longest idle
	// are passivated early, and beyond it by a quarter nobody new is activated.
	// Default 2,000,000.
	MaxActors int
	// PassivateAfter is how long an idle actor stays in memory. Default 10
	// minutes: an activation costs far more than the bytes it would save.
	PassivateAfter time.Duration
	// SnapshotEvery is how many events an actor stores between two snapshots,
	// at most [MaxSnapshotEvery]. Default 100. An actor whose snapshot has more
	// than 64 KiB is saved every MaxSnapshotEvery events.
	SnapshotEvery int
	// SnapshotBytes is after how many bytes of events an actor is snapshotted
	// however few they are, but not before they have as many bytes as its last
	// snapshot. Default 1 MiB: some ten milliseconds of an activation. Negative:
	// bytes are not counted.
	SnapshotBytes int
	// SnapshotLoadTime is how long the events since the snapshot may take to load
	// and to fold when an actor is activated; if they take longer, and are at least
	// eight, it is snapshotted after its first turn, so that the next activation does
	// not pay for them again. Default 50 ms: what an activation may take. Negative:
	// time is not measured.
	SnapshotLoadTime time.Duration
	// SnapshotSoon is after how many events an actor is snapshotted that has not
	// been for a second, for systems whose actors others may have to activate:
	// when a node dies, hundreds of its actors wake elsewhere at once, and each
	// event since the snapshot is a read. Default 0: only every SnapshotEvery.
	SnapshotSoon int
	// AppendTimeout bounds how long an append is repeated before its outcome is
	// called unknown. Default 30 s: longer than a leader election.
	AppendTimeout time.Duration
	// ActivateTimeout bounds one activation. Default 30 s.
	ActivateTimeout time.Duration
	// DrainTimeout bounds how long Run waits, once cancelled, for commands under
	// way and snapshots. Default 20 s.
	DrainTimeout time.Duration

	// Logger is told of failures an operator may act on. Default slog.Default().
	Logger *slog.Logger
	// Registerer gets the metrics. Nil: none.
	Registerer prometheus.Registerer
}

// MaxSnapshotEvery is how far a stream may run ahead of its snapshot, in events.
const MaxSnapshotEvery = 500

func (c Config) withDefaults() Config {
	setDefault(&c.MailboxLen, store.MaxEvents)
	setDefault(&c.MaxActors, 2_000_000)
	setDefault(&c.PassivateAfter, 10*time.Minute)
	setDefault(&c.SnapshotEvery, 100)
	setDefault(&c.SnapshotBytes, 1<<20)
	setDefault(&c.SnapshotLoadTime, 50*time.Millisecond)
	setDefault(&c.AppendTimeout, 30*time.Second)
	setDefault(&c.ActivateTimeout, 30*time.Second)
	setDefault(&c.DrainTimeout, 20*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// atFirst is what every partition refuses with when the system begins.
func (c Config) atFirst() error {
	if c.Leases == nil {
		return nil
	}
	return ErrMoved
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	switch {
	case c.Log == nil:
		return errors.New("actor config: Log is needed")
	case c.MailboxLen < 1:
		return errors.New("actor config: MailboxLen is below 1")
	case c.MaxActors < 1:
		return errors.New("actor config: MaxActors is below 1")
	case c.SnapshotEvery < 1 || c.SnapshotEvery > MaxSnapshotEvery:
		return errors.New("actor config: SnapshotEvery is out of [1, 500]")
	case c.SnapshotSoon < 0:
		return errors.New("actor config: SnapshotSoon is negative")
	case c.PassivateAfter < 0 || c.AppendTimeout < 0 || c.ActivateTimeout < 0 || c.DrainTimeout < 0:
		return errors.New("actor config: a duration is negative")
	}
	return nil
}
