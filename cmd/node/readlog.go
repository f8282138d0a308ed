package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// openToRead opens the log of the namespace as it is, and creates nothing.
func openToRead(ctx context.Context, s *Session) (*jetstream.Log, error) {
	config, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	if err := s.addArchive(ctx, &config, s.flags.archive); err != nil {
		return nil, err
	}
	return jetstream.Open(ctx, config)
}

// existing returns how the namespace was created. It needs no node.
func (s *Session) existing(ctx context.Context) (jetstream.Config, error) {
	nc, err := s.Connect(ctx)
	if err != nil {
		return jetstream.Config{}, err
	}
	config, err := request(ctx, s, notControl, func(ctx context.Context) (jetstream.Config, error) {
		return jetstream.Existing(ctx, nc, s.Namespace())
	})
	if errors.Is(err, store.ErrNotFound) {
		return config, s.noNamespace(ctx, nc, err)
	}
	return config, err
}

// noNamespace is the failure for a namespace that the server does not keep. It
// names those that it does.
func (s *Session) noNamespace(ctx context.Context, nc *nats.Conn, err error) *Failure {
	f := &Failure{Code: codeNoNamespace, Exit: console.ExitNotFound, What: fmt.Sprintf("no namespace %q", s.Namespace()), Err: err}
	f.Why = "this NATS server keeps no events of it"
	f.Fix = "name the namespace with --ns, or the server with --server"
	others, asked := request(ctx, s, notControl, func(ctx context.Context) ([]string, error) { return jetstream.Namespaces(ctx, nc) })
	if asked == nil && len(others) > 0 {
		f.Why += "; it has: " + strings.Join(others, ", ")
		f.Fix = fmt.Sprintf("did you mean: --ns %s", others[0])
		if near := console.Nearest(s.Namespace(), others); near != "" {
			f.Fix = fmt.Sprintf("did you mean: --ns %s", near)
		}
	}
	return f
}

// noNamespaceAnswered is the failure for an error that says that nobody
// answered, if the reason is that the server has no such namespace; else nil.
func (s *Session) noNamespaceAnswered(ctx context.Context, err error) *Failure {
	if !errors.Is(err, nats.ErrNoResponders) || errors.Is(err, store.ErrUnknown) || len(s.conns) == 0 {
		return nil
	}
	nc := s.conns[len(s.conns)-1]
	_, looked := request(ctx, s, notControl, func(ctx context.Context) (jetstream.Config, error) {
		return jetstream.Existing(ctx, nc, s.Namespace())
	})
	if !errors.Is(looked, store.ErrNotFound) {
		return nil
	}
	return s.noNamespace(ctx, nc, err)
}
