package cluster

import (
	"context"
	"errors"
	"fmt"
)

// UnlikeError says that a node does not join because it was started in another way
// than one that runs. It matches [ErrUnlike].
type UnlikeError struct {
	// Node is the one that does not join, Terms are its own.
	Node, Terms string
	// Other is one that runs, OtherTerms are its own.
	Other, OtherTerms string
}

// Error names both nodes and what they say.
func (e *UnlikeError) Error() string {
	return fmt.Sprintf("%s: %s was started with %s, and %s runs with %s", ErrUnlike, e.Node, e.Terms, e.Other, e.OtherTerms)
}

// Unwrap returns [ErrUnlike].
func (e *UnlikeError) Unwrap() error { return ErrUnlike }

// agree returns an [*UnlikeError] if a node that answers has other terms, and another
// error if one may have them that does not answer. What has no terms agrees with all.
func (c *Cluster) agree(ctx context.Context) error {
	own := c.config.Node
	if own.Terms == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for _, other := range c.directory.unlike(own) {
		switch err := c.bucket.ping(ctx, other.Session); {
		case errors.Is(err, errNobody):
		case err == nil:
			return &UnlikeError{Node: own.Name, Terms: own.Terms, Other: other.Name, OtherTerms: other.Terms}
		default:
			return fmt.Errorf("node %s with %s is in the directory and may be paused: %w", other.Name, other.Terms, err)
		}
	}
	return nil
}

// unlike returns the nodes of other terms.
func (d *directory) unlike(own Node) (all []member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.nodes {
		if m.Name != own.Name && m.Terms != "" && m.Terms != own.Terms {
			all = append(all, m)
		}
	}
	return all
}

// stillAgree looks again once this node is in the directory, and takes it off if it has
// other terms than one that came at the same time: of two entries one is the later, and
// whoever wrote that sees the other.
func (c *Cluster) stillAgree(ctx context.Context) error {
	if c.config.Node.Terms == "" {
		return nil
	}
	err := c.catchUp(ctx, false)
	for err != nil && tick(ctx, nil, joinPause) {
		err = c.catchUp(ctx, false)
	}
	if err == nil {
		err = c.agree(ctx)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, c.depart(ctx))
}
