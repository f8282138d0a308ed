package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/annals-go/annals/cmd/node/console"
)

// connect resolves where to and as whom, setting by setting: flag, then
// environment, then NATS context, then default. The selected context is used
// only when no server is named: its credentials are not meant for another.
// The last of several options of one kind counts.
func connect(ctx context.Context, s *Session, more ...nats.Option) (*nats.Conn, error) {
	f := &s.flags
	opts, err := s.connectOptions()
	if err != nil {
		return nil, err
	}
	opts = append(opts, more...)
	var nc *nats.Conn
	if f.server != "" && f.context == "" {
		nc, err = nats.Connect(f.server, opts...)
	} else {
		if f.server != "" {
			opts = append(opts, useServers(f.server))
		}
		nc, _, err = natscontext.Connect(f.context, opts...)
	}
	if err != nil && ctx.Err() == nil {
		return nil, s.connectFailure(err)
	}
	if ctx.Err() != nil && nc != nil {
		nc.Close()
	}
	return nc, ctx.Err()
}

// useServers overrides the address that a context names.
func useServers(urls string) nats.Option {
	return func(o *nats.Options) error {
		o.Url, o.Servers = "", nil
		for url := range strings.SplitSeq(urls, ",") {
			o.Servers = append(o.Servers, strings.TrimSpace(url))
		}
		return nil
	}
}

// connectOptions are those of every connection to servers of the user's.
func (s *Session) connectOptions() ([]nats.Option, error) {
	f := &s.flags
	opts := []nats.Option{
		nats.Name(s.app.Name + " command line"), nats.Timeout(f.timeout), nats.MaxReconnects(-1),
		nats.ErrorHandler(s.noteRefusal),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: closed on purpose
				s.Logger().Warn("disconnected from nats", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { s.Logger().Info("connected to nats again") }),
	}
	if f.inboxPrefix != "" {
		if err := checkInboxPrefix(f.inboxPrefix); err != nil {
			return nil, err
		}
		opts = append(opts, nats.CustomInboxPrefix(f.inboxPrefix))
	}
	who, err := s.identity()
	if err != nil {
		return nil, err
	}
	encrypted, err := s.encryption()
	return append(append(opts, who...), encrypted...), err
}

func (s *Session) connectFailure(err error) *Failure {
	f := &Failure{Code: codeUnreachable, Exit: console.ExitUnavailable, Why: err.Error(), Err: err}
	f.What = fmt.Sprintf("cannot connect to NATS at %s", s.target())
	switch {
	case isStranger(err):
		f.Code, f.Exit = codeStranger, console.ExitForbidden
		f.Fix = "give credentials with --creds or --nkey, or a NATS context that has them with --context"
	case isUncertified(err):
		f.Code = codeUncertified
		f.Fix = "name the authorities of the server's certificate with --tlsca; if the server wants one of yours: --tlscert and --tlskey"
	case strings.HasPrefix(err.Error(), "unknown context"), strings.HasPrefix(err.Error(), "invalid context"):
		f.Code, f.Exit = console.CodeUsage, console.ExitUsage
		f.Fix = "list the contexts with: nats context ls"
	default:
		f.Fix = fmt.Sprintf("start a system with: %s dev; or name another server with --server or --context", s.app.Name)
	}
	return f
}

// target names what was to be connected to, without the secrets that a URL may
// hold.
func (s *Session) target() string {
	switch {
	case s.flags.server != "":
		return redact(s.flags.server)
	case s.flags.context != "":
		return "the address in context " + s.flags.context
	default:
		return nats.DefaultURL + ", or the address in the selected context"
	}
}

// redact removes user and password from a list of URLs.
func redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, url := range parts {
		scheme, rest, found := strings.Cut(url, "://")
		if !found {
			scheme, rest = "", url
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = "…" + rest[at:]
		}
		if found {
			rest = scheme + "://" + rest
		}
		parts[i] = rest
	}
	return strings.Join(parts, ",")
}
