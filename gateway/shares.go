package gateway

import (
	"context"
	"sync"

	"github.com/annals-go/annals/projector"
)

// withShares asks the nodes that have workers of these models how those stand, all at
// the same time, and names the nodes. Of those that are here own tells. What a node does
// not say stays as the view's home reads it from the store.
func (g *Gateway) withShares(ctx context.Context, models, own []projector.Status) []projector.Status {
	if g.config.Placement == nil {
		return models
	}
	ctx, cancel := context.WithTimeout(ctx, min(patienceOf(ctx), maxAskAround))
	defer cancel()
	asks := map[string]func() []projector.Share{} // by node
	said := sharesOf(own)                         // copied before answers of others overwrite them
	var wait sync.WaitGroup
	for i := range models {
		m := &models[i]
		for j := range m.Shares {
			s := &m.Shares[j]
			node, here := g.config.Placement.Runner(projector.Duty(m.Name, m.Version, s.Worker))
			s.Node = node
			if s.Worker == 0 || node == "" {
				continue
			}
			if here {
				tell(s, said)
				continue
			}
			if asks[node] == nil {
				asks[node] = sync.OnceValue(func() []projector.Share { return g.sharesOn(ctx, node) })
			}
			ask := asks[node]
			wait.Go(func() { tell(s, ask()) })
		}
	}
	wait.Wait()
	return models
}

// tell replaces a share by what its node says of it.
func tell(s *projector.Share, said []projector.Share) {
	for _, there := range said {
		if there.Model == s.Model && there.Worker == s.Worker {
			node := s.Node
			*s = there
			s.Node = node
		}
	}
}

// sharesOn are those that a node says to have; none if it does not answer.
func (g *Gateway) sharesOn(ctx context.Context, node string) []projector.Share {
	found, err := g.statusOn(ctx, node)
	if err != nil {
		return nil
	}
	return sharesOf(found)
}

func sharesOf(found []projector.Status) (all []projector.Share) {
	for _, s := range found {
		all = append(all, s.Shares...)
	}
	return all
}
