package jetstream

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// spreadWait bounds what Open spends on leaders.
const spreadWait = 5 * time.Second

// seats is which server leads each stream of a namespace.
type seats struct {
	servers []string
	leader  map[string]string // of each stream
}

// spread moves the leaders of streams that were just created to different
// servers, as far as there are servers. That is a wish: whatever fails is
// reported and left, and later elections go as they go.
func (l *Log) spread(ctx context.Context) {
	if !l.names.sourced() || l.replicas < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, spreadWait)
	defer cancel()
	s, err := l.seats(ctx)
	for err == nil {
		stream, server := s.uneven()
		if stream == "" {
			return
		}
		k := keptIn(stream)
		err = l.stepDown(ctx, &k, server)
		s.leader[stream] = server
	}
	l.cfg.Logger.Warn("leaders of log streams are not spread over the servers", "namespace", l.cfg.Namespace, "err", err)
}

// all returns the streams of the namespace that hold commits.
func (n *names) all() []kept {
	if !n.sourced() {
		return n.streams
	}
	return append([]kept{n.order}, n.streams...)
}

func (l *Log) seats(ctx context.Context) (*seats, error) {
	s := &seats{leader: map[string]string{}}
	servers := map[string]bool{}
	for _, k := range l.names.all() {
		m, err := l.request(ctx, k.info, nil)
		if err != nil {
			return nil, err
		}
		var body struct {
			Error   *apiError `json:"error"`
			Cluster struct {
				Leader   string `json:"leader"`
				Replicas []struct {
					Name string `json:"name"`
				} `json:"replicas"`
			} `json:"cluster"`
		}
		if err := json.Unmarshal(m.Data, &body); err != nil {
			return nil, err
		}
		if body.Error != nil {
			return nil, body.Error
		}
		s.leader[k.name] = body.Cluster.Leader
		servers[body.Cluster.Leader] = true
		for _, r := range body.Cluster.Replicas {
			servers[r.Name] = true
		}
	}
	s.servers = slices.Sorted(maps.Keys(servers))
	return s, nil
}

// uneven returns a stream of the server that leads most and the server that
// leads least, or nothing if no move makes it more even. In a larger cluster
// than each stream has replicas, the server may be none of the stream's: then
// the move fails, and that is all.
func (s *seats) uneven() (stream, server string) {
	led := map[string][]string{}
	for _, stream := range slices.Sorted(maps.Keys(s.leader)) {
		led[s.leader[stream]] = append(led[s.leader[stream]], stream)
	}
	most, least := "", ""
	for _, server := range s.servers {
		if most == "" || len(led[server]) > len(led[most]) {
			most = server
		}
		if least == "" || len(led[server]) < len(led[least]) {
			least = server
		}
	}
	if len(led[most])-len(led[least]) < 2 {
		return "", ""
	}
	return led[most][len(led[most])-1], least
}
