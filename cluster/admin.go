package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// AdminConfig says whose directory an [Admin] opens. Both are needed.
type AdminConfig struct {
	// Conn is a connection to the servers that hold the directory. It is not closed.
	Conn *nats.Conn
	// Namespace is that of the log.
	Namespace string
}

// Admin looks at a cluster's directory from outside, and changes what
// operators may wish for. It needs no running node: wishes are kept and count
// as soon as there is one.
type Admin struct{ bucket bucket }

// OpenAdmin opens the directory of a namespace. The error matches
// [ErrNoCluster] if there is none, [ErrUnavailable] if it cannot be asked.
func OpenAdmin(ctx context.Context, config AdminConfig) (*Admin, error) {
	b, err := newNATSBucket(config.Conn, config.Namespace)
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w: %w", ErrUnavailable, err)
	}
	exists, err := b.exists(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("open cluster of %s: %w: %w", config.Namespace, ErrUnavailable, err)
	case !exists:
		return nil, fmt.Errorf("open cluster of %s: %w", config.Namespace, ErrNoCluster)
	}
	return &Admin{bucket: b}, nil
}

// NodeStatus is a node as the directory has it.
type NodeStatus struct {
	Node
	Session string    `json:"session"`
	Since   time.Time `json:"since"`
	// Cordoned says that an operator wants it to hold nothing, Leaving that it
	// hands everything over because it stops.
	Cordoned bool `json:"cordoned"`
	Leaving  bool `json:"leaving"`
	// Partitions is how many it holds, Wanted how many it should.
	Partitions int `json:"partitions"`
	Wanted     int `json:"wanted"`
	// Duties are those it runs.
	Duties []string `json:"duties"`
}

// PartitionStatus is a partition as the directory has it.
type PartitionStatus struct {
	Partition int `json:"partition"`
	// Node holds it; empty: nobody does.
	Node  string    `json:"node"`
	Epoch uint64    `json:"epoch"`
	Since time.Time `json:"since"`
	// Wanted is the node that placement says should hold it.
	Wanted string `json:"wanted"`
	// Pinned says that an operator chose that node.
	Pinned bool `json:"pinned"`
	// Orphaned says that Node is not there any more.
	Orphaned bool `json:"orphaned"`
}

// Move is a partition that would go, or goes, to another node.
type Move struct {
	Partition int    `json:"partition"`
	From      string `json:"from"`
	To        string `json:"to"`
}

// load reads the whole directory.
func (a *Admin) load(ctx context.Context) (*directory, error) {
	d := newDirectory(0)
	err := a.bucket.changes(ctx, 0, func(c change) { d.apply(c, time.Now()) })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d, nil
}

// count returns how many partitions the directory knows of.
func (d *directory) count() (partitions int) {
	for s := range d.held {
		if s.Duty == "" {
			partitions = max(partitions, s.Partition+1)
		}
	}
	return partitions
}

// Nodes returns the nodes in the order of their names.
func (a *Admin) Nodes(ctx context.Context) ([]NodeStatus, error) {
	d, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	plan := d.plan(d.count())
	all := make([]NodeStatus, 0, len(d.nodes))
	for name, m := range d.nodes {
		s := NodeStatus{
			Node: m.Node, Session: m.Session, Since: m.Since, Cordoned: d.cordons[name], Leaving: m.Leaving, Duties: []string{},
		}
		for slot, h := range d.held {
			switch {
			case h.Node != name || h.Session != m.Session:
			case slot.Duty != "":
				s.Duties = append(s.Duties, slot.Duty)
			default:
				s.Partitions++
			}
		}
		for _, wanted := range plan.partitions {
			if wanted == name {
				s.Wanted++
			}
		}
		slices.Sort(s.Duties)
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y NodeStatus) int { return cmp.Compare(x.Name, y.Name) })
	return all, nil
}

// Partitions returns the partitions in the order of their numbers: those that
// some node has held.
func (a *Admin) Partitions(ctx context.Context) ([]PartitionStatus, error) {
	d, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	return d.partitions(), nil
}

func (d *directory) partitions() []PartitionStatus {
	n := d.count()
	plan := d.plan(n)
	all := make([]PartitionStatus, n)
	for p := range all {
		h := d.held[Slot{Partition: p}]
		_, pinned := d.pins[p]
		all[p] = PartitionStatus{
			Partition: p, Node: h.Node, Epoch: h.revision, Since: h.Since, Wanted: plan.wants(Slot{Partition: p}), Pinned: pinned,
			Orphaned: h.Node != "" && !d.alive(h.Node, h.Session),
		}
	}
	return all
}

// Cordon makes a node hand over everything that it holds, and keeps it from
// being given anything, also after a restart, until [Admin.Uncordon]. It
// returns when the wish is stored; [Admin.Nodes] shows how far it has come. The
// error matches [ErrNoNode] if no node of that name is there.
func (a *Admin) Cordon(ctx context.Context, node string) error {
	d, err := a.load(ctx)
	if err != nil {
		return err
	}
	if _, ok := d.nodes[node]; !ok {
		return fmt.Errorf("cordon %s: %w", node, ErrNoNode)
	}
	return a.set(ctx, keyCordon+node, []byte(node))
}

// Uncordon takes [Admin.Cordon] back. The node may have gone meanwhile; the
// error matches [ErrNoNode] if it is neither there nor cordoned.
func (a *Admin) Uncordon(ctx context.Context, node string) error {
	d, err := a.load(ctx)
	if err != nil {
		return err
	}
	if _, ok := d.nodes[node]; !ok && !d.cordons[node] {
		return fmt.Errorf("uncordon %s: %w", node, ErrNoNode)
	}
	return a.set(ctx, keyCordon+node, nil)
}

// Move pins a partition to a node, until [Admin.Rebalance]. While that node is
// away or cordoned, the partition is placed as if it were not pinned. The error
// matches [ErrNoNode] or, for a partition that there is not, [ErrInvalid].
func (a *Admin) Move(ctx context.Context, partition int, node string) error {
	d, err := a.load(ctx)
	if err != nil {
		return err
	}
	if _, ok := d.nodes[node]; !ok {
		return fmt.Errorf("move partition %d to %s: %w", partition, node, ErrNoNode)
	}
	if n := d.count(); partition < 0 || partition >= n {
		return fmt.Errorf("move partition %d: %w: there are partitions 0 to %d", partition, ErrInvalid, n-1)
	}
	return a.set(ctx, keyPin+strconv.Itoa(partition), []byte(node))
}

// Rebalance removes all pins, so that every partition goes where placement
// puts it, and returns what moves. With dryRun it only returns that. If it failed and returns nil, not an empty
// slice, nothing was changed: the directory could not be read.
func (a *Admin) Rebalance(ctx context.Context, dryRun bool) ([]Move, error) {
	d, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	pins := d.pins
	d.pins = map[int]string{}
	moves := []Move{}
	for _, p := range d.partitions() {
		if p.Wanted != "" && p.Wanted != p.Node {
			moves = append(moves, Move{Partition: p.Partition, From: p.Node, To: p.Wanted})
		}
	}
	if dryRun {
		return moves, nil
	}
	for p := range pins {
		if err := a.set(ctx, keyPin+strconv.Itoa(p), nil); err != nil {
			return moves, err
		}
	}
	return moves, nil
}

// set writes a wish, whoever wished before.
func (a *Admin) set(ctx context.Context, key string, value []byte) error {
	for {
		at := uint64(0)
		err := a.bucket.changes(ctx, 0, func(c change) {
			if c.key == key {
				at = c.revision
			}
		})
		if err == nil {
			at, err = a.bucket.write(ctx, key, value, at, 0)
		}
		if err == nil {
			a.bucket.announce(at)
			return nil
		}
		if !errors.Is(err, errMoved) || !tick(ctx, nil, joinPause) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}
