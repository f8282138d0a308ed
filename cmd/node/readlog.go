package node

import (
	"context"
	"errors"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// openToRead opens the log of the namespace as it is, and creates nothing.
func openToRead(ctx context.Context, s *Session) (*jetstream.Log, error) {
	nc, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	once, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	config, err := jetstream.Existing(once, nc, s.Namespace())
	if errors.Is(err, store.ErrNotFound) {
		f := s.unknown(err, codeNoNamespace, "namespace", s.Namespace(), nil)
		f.Why = "this NATS server keeps no events of it"
		f.Fix = "name the namespace with --ns, or the server with --server"
		return nil, f
	}
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	return jetstream.Open(ctx, config)
}
