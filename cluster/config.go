package cluster

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says which cluster a node joins and as what. Conn, Namespace,
// Partitions, Node.Name and Handler are needed.
type Config struct {
	// Conn is the connection to the servers that hold the directory. It is not
	// closed. Let it reconnect for ever.
	Conn *nats.Conn
	// Namespace is that of the log.
	Namespace string
	// Partitions is how many partitions the namespace has.
	Partitions int
	// Duties are what one node with [RoleProjectors] runs at a time. The same on
	// all nodes; a duty that only some nodes know is run by one of those.
	Duties []string
	// Node is what this node says of itself.
	Node Node
	// Handler does the work.
	Handler Handler

	// Replicas is how many servers hold the directory, when it is made. Default 1.
	Replicas int
	// InMemory keeps the directory in memory, when it is made.
	InMemory bool

	// Validity is how long a lease lasts from the sending of a renewal, on the
	// holder's monotonic clock: so long the memory of a dead node stays
	// unreplaced, and so late may a renewal be before rejections and reads have to
	// wait. Default 1.2 s. It must be the same on all nodes.
	Validity time.Duration
	// RenewEvery is how often the lease is renewed. Default 300 ms: four tries
	// within Validity.
	RenewEvery time.Duration
	// TTL is after how long the server removes a node that does not renew and is
	// not known to be dead. Default 15 s: longer than the election of a leader,
	// during which nobody can renew.
	TTL time.Duration
	// PollEvery is how often the directory is read for changes that no hint told
	// of. Default 150 ms.
	PollEvery time.Duration
	// ProbeEvery is how often a node looks whether others are dead. Two looks in a
	// row must agree. Default 200 ms.
	ProbeEvery time.Duration
	// Settle is how long membership must be unchanged before a slot is moved that
	// is well served where it is. Default 300 ms.
	Settle time.Duration
	// ReleaseTimeout bounds the release of one slot. Default 5 s.
	ReleaseTimeout time.Duration
	// LeaveTimeout bounds how long Run takes to hand everything over. Default 25 s.
	LeaveTimeout time.Duration

	// Logger is told of what an operator may act on. Default slog.Default().
	Logger *slog.Logger
	// Registerer gets the metrics. Nil: none.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	setDefault(&c.Replicas, 1)
	setDefault(&c.Validity, 1200*time.Millisecond)
	setDefault(&c.RenewEvery, 300*time.Millisecond)
	setDefault(&c.TTL, 15*time.Second)
	setDefault(&c.PollEvery, 150*time.Millisecond)
	setDefault(&c.ProbeEvery, 200*time.Millisecond)
	setDefault(&c.Settle, 300*time.Millisecond)
	setDefault(&c.ReleaseTimeout, 5*time.Second)
	setDefault(&c.LeaveTimeout, 25*time.Second)
	setDefault(&c.Node.Weight, 1)
	if len(c.Node.Roles) == 0 {
		c.Node.Roles = AllRoles()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var (
	namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	dutyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$`)
)

func (c Config) validate() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("cluster config: %w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Handler == nil:
		return invalid("Handler is needed")
	case c.Namespace == "":
		return invalid("Namespace is needed")
	case c.Partitions < 1 || c.Partitions > maxPartitions:
		return invalid("%d partitions are out of [1, %d]", c.Partitions, maxPartitions)
	case !namePattern.MatchString(c.Node.Name):
		return invalid("node name %q: want a letter, then letters, digits, - and _, at most 64", c.Node.Name)
	case c.Node.Weight < 1 || c.Node.Weight > maxWeight || c.Node.Capacity < 0:
		return invalid("weight %d is out of [1, %d], or the capacity %d is negative", c.Node.Weight, maxWeight, c.Node.Capacity)
	case c.RenewEvery < 0 || c.Validity < 2*c.RenewEvery || c.TTL < 2*c.Validity || c.TTL < time.Second:
		return invalid("want RenewEvery <= Validity/2, and TTL at least a second and 2*Validity")
	case c.PollEvery < 0 || c.ProbeEvery < 0 || c.Settle < 0 || c.ReleaseTimeout < 0 || c.LeaveTimeout < 0:
		return invalid("a duration is negative")
	}
	for _, r := range c.Node.Roles {
		if !slices.Contains(AllRoles(), r) {
			return invalid("role %q: want one of %v", r, AllRoles())
		}
	}
	for _, d := range c.Duties {
		if len(d) > maxDutyLength || !dutyPattern.MatchString(d) {
			return invalid("duty %q: want letters, digits, - and _, and dots between them, at most %d", d, maxDutyLength)
		}
	}
	return nil
}

const (
	maxPartitions = 4096
	maxWeight     = 1000
	maxDutyLength = 64
)

// quiet is how long after the last renewal that was seen a session's lease has
// ended for certain: the clocks of two machines may run at slightly different
// speeds.
func (c Config) quiet() time.Duration { return c.Validity + c.Validity/10 + 20*time.Millisecond }
