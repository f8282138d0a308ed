//go:build linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster"
)

// lookLimit bounds one look at the directory or at a server.
const lookLimit = 3 * time.Second

// Settled waits until everything is as it should be: all processes run, all
// servers are current, all nodes are there, and each partition is served by
// the node that placement wants.
func (f *Fleet) Settled(ctx context.Context, limit time.Duration) error {
	return Until(ctx, limit, "the cluster is settled", func() error {
		if err := f.ended(); err != nil {
			return err
		}
		if err := f.serversHealthy(ctx); err != nil {
			return err
		}
		return f.placed(ctx)
	})
}

func (f *Fleet) serversHealthy(ctx context.Context) error {
	for _, s := range f.Servers {
		if err := s.Healthy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// placed returns nil if the directory is at rest with all nodes in it.
func (f *Fleet) placed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	nodes, err := f.Admin.Nodes(ctx)
	if err != nil {
		return err
	}
	if len(nodes) != len(f.Nodes) {
		return fmt.Errorf("%d of %d nodes are there", len(nodes), len(f.Nodes))
	}
	for _, n := range nodes {
		if n.Leaving || n.Cordoned {
			return fmt.Errorf("node %s is leaving or cordoned", n.Name)
		}
	}
	partitions, err := f.Admin.Partitions(ctx)
	if err != nil {
		return err
	}
	return atRest(partitions)
}

func atRest(partitions []cluster.PartitionStatus) error {
	for _, p := range partitions {
		if p.Node == "" || p.Orphaned || p.Node != p.Wanted {
			return fmt.Errorf("partition %d is with %q (orphaned: %v), wanted with %q", p.Partition, p.Node, p.Orphaned, p.Wanted)
		}
	}
	if len(partitions) == 0 {
		return errors.New("there are no partitions")
	}
	return nil
}

// Holdings are who serves what, and under which epoch.
type Holdings struct {
	Nodes  []string // by partition; "" if nobody
	Epochs []uint64 // by partition
}

// Of returns the partitions of a node.
func (h Holdings) Of(node string) map[int]bool {
	own := map[int]bool{}
	for p, n := range h.Nodes {
		if n == node {
			own[p] = true
		}
	}
	return own
}

// Holdings reads the directory.
func (f *Fleet) Holdings(ctx context.Context) (Holdings, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	partitions, err := f.Admin.Partitions(ctx)
	if err != nil {
		return Holdings{}, err
	}
	h := Holdings{Nodes: make([]string, len(partitions)), Epochs: make([]uint64, len(partitions))}
	for _, p := range partitions {
		h.Epochs[p.Partition] = p.Epoch
		if !p.Orphaned {
			h.Nodes[p.Partition] = p.Node
		}
	}
	return h, nil
}

// Leader returns the server that leads the stream of events.
func (f *Fleet) Leader(ctx context.Context) (*Server, error) {
	info, err := f.events(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Servers {
		if info.Cluster != nil && s.Name == info.Cluster.Leader {
			return s, nil
		}
	}
	return nil, errors.New("the stream of events has no leader")
}

// Replicated returns nil when all servers hold all events.
func (f *Fleet) Replicated(ctx context.Context) error {
	info, err := f.events(ctx)
	if err != nil {
		return err
	}
	if info.Cluster == nil || len(info.Cluster.Replicas) != len(f.Servers)-1 {
		return errors.New("not all servers hold the stream of events")
	}
	for _, r := range info.Cluster.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("server %s is %d operations behind (current: %v, offline: %v)", r.Name, r.Lag, r.Current, r.Offline)
		}
	}
	return nil
}

func (f *Fleet) events(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	js, err := jetstream.New(f.Conn)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, "ANNALS_"+Namespace+"_events")
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
