package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// watched is how many others each node watches: those that follow it in the
	// order of names. Three must die at the same moment for one not to be noticed
	// before its session expires.
	watched = 3
	// looks is how many times in a row nobody must answer before a node is taken
	// for dead: one that changes its server is away for a moment.
	looks = 2
)

// probe looks whether the processes of other nodes are still connected. That
// nobody answers is the servers' own word, and comes at once; that an answer is
// late says nothing, and is left to the server's expiry of sessions.
func (c *Cluster) probe(ctx context.Context) {
	silent := map[string]int{}
	for tick(ctx, nil, c.config.ProbeEvery) {
		targets := c.neighbours()
		dead := make([]bool, len(targets))
		var asking sync.WaitGroup
		for i, m := range targets {
			asking.Go(func() { dead[i] = c.nobody(ctx, m.Session) })
		}
		asking.Wait()
		next := map[string]int{}
		for i, m := range targets {
			if !dead[i] {
				continue
			}
			if next[m.Session] = silent[m.Session] + 1; next[m.Session] >= looks {
				c.fence(ctx, m)
			}
		}
		silent = next
	}
}

func (c *Cluster) nobody(ctx context.Context, session string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.config.ProbeEvery)
	defer cancel()
	return errors.Is(c.bucket.ping(ctx, session), errNobody)
}

// neighbours returns the nodes that this one watches.
func (c *Cluster) neighbours() []member {
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	var before, after []member
	for name, m := range c.directory.nodes {
		switch {
		case name < c.config.Node.Name:
			before = append(before, m)
		case name > c.config.Node.Name:
			after = append(after, m)
		}
	}
	byName := func(a, b member) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}
	slices.SortFunc(before, byName)
	slices.SortFunc(after, byName)
	all := slices.Concat(after, before)
	return all[:min(watched, len(all))]
}

// fence ends the session of a node whose process is gone, so that it can never
// be renewed again, even if the process was only cut off. It is done at the
// revision that was read: a renewal since then means that the node lives.
func (c *Cluster) fence(ctx context.Context, m member) {
	if err := c.catchUp(ctx, false); err != nil {
		return
	}
	c.directory.mu.Lock()
	now, ok := c.directory.nodes[m.Name]
	c.directory.mu.Unlock()
	if !ok || now.Session != m.Session || now.revision != m.revision {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	revision, err := c.bucket.write(ctx, keyNode+m.Name, nil, now.revision, 0)
	if err != nil {
		signal(c.read)
		return
	}
	c.metrics.fenced.Inc()
	c.config.Logger.Warn("node is gone", "node", m.Name, "session", m.Session)
	c.learn(change{key: keyNode + m.Name, revision: revision, before: now.revision})
	c.bucket.announce(revision)
}
