package node

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster/embedded"
)

// Where dev listens when nobody says otherwise.
const (
	defaultNATS = "127.0.0.1:4222"
	defaultHTTP = "127.0.0.1:4280"
)

// devFlags are what dev is told.
type devFlags struct {
	data, nats, http string
	headless         bool
	sync, name       string
}

func newDev(s *Session) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with an embedded NATS server",
		Long: `The log, the aggregates, the views, the gateway, and HTTP with /livez, /readyz
and /metrics. Nothing asks for credentials: it is for development and for one
machine.

Without --data everything is in memory. With it, an acknowledged command
survives a crash and a power cut.

The addresses go to standard output, logs to standard error. Ctrl-C once
finishes what was taken in and stops; twice stops at once.`,
		Example: `{{name}} dev                                 in memory
{{name}} dev --data ./data                   kept in ./data
{{name}} dev --nats 127.0.0.1:0 --http 127.0.0.1:0 --headless --json`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.config(cmd, s)
			if err != nil {
				return err
			}
			return runDev(cmd.Context(), s, config)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.data, "data", "", "keep data in `DIR`, created if needed (default: in memory)")
	flags.StringVar(&f.nats, "nats", defaultNATS, "`HOST:PORT` for NATS; port 0 takes a free one, as does the default when it is taken")
	flags.StringVar(&f.http, "http", defaultHTTP, "`HOST:PORT` for HTTP, likewise")
	flags.BoolVar(&f.headless, "headless", false, "print the addresses only")
	flags.StringVar(&f.sync, "sync", string(embedded.SyncBarrier), "`MODE` in which data reach the disk before they are acknowledged: barrier (shared syncs), always (one sync each), none (a power cut loses data)")
	flags.StringVar(&f.name, "name", "dev", "`NAME` of the node")
	return cmd
}

// devConfig is what dev is told, checked.
type devConfig struct {
	dir        string
	nats, http address
	headless   bool
	sync       embedded.Sync
	name       string
}

func (f *devFlags) config(cmd *cobra.Command, s *Session) (c devConfig, err error) {
	chosen := func(flag string) bool { return cmd.Flags().Changed(flag) }
	c = devConfig{dir: f.data, headless: f.headless, sync: embedded.Sync(f.sync), name: f.name}
	if c.nats, err = parseAddress("nats", f.nats, chosen("nats")); err != nil {
		return c, err
	}
	if c.http, err = parseAddress("http", f.http, chosen("http")); err != nil {
		return c, err
	}
	if !slices.Contains([]embedded.Sync{embedded.SyncBarrier, embedded.SyncAlways, embedded.SyncNone}, c.sync) {
		return c, Usage("--sync %q: want barrier, always or none", f.sync)
	}
	if f.data == "" && chosen("sync") {
		return c, Usage("--sync says how data reach the disk; without --data there is none")
	}
	if chosen("data") && f.data == "" {
		return c, Usage("--data is empty; name a directory, or leave it out to keep everything in memory")
	}
	return c, checkNames(s, c.name)
}

// runDev runs a node until it is told to stop.
func runDev(ctx context.Context, s *Session, config devConfig) error {
	begin := time.Now()
	n := newDevNode(s, config)
	n.warn()
	defer context.AfterFunc(ctx, n.sayStopping)()
	b := boot{parts: n.parts(), logger: s.logger, state: n.health.set}
	n.health.expect(b.parts)
	return b.run(ctx, func() {
		// Whoever waits for readiness may then read the addresses.
		if err := n.announce(time.Since(begin)); err != nil {
			s.logger.Error("print addresses", "err", err)
		}
		n.health.announce()
	})
}
