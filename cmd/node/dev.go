package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
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
	nodes            int
	views            string
	keepCommands     bool
	access           devAccess
	asked            askedFlags
}

func newDev(s *Session) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with an embedded NATS server",
		Long: `The log, the aggregates, the views, the gateway, and HTTP with /livez, /readyz
and /metrics. Nothing asks for credentials: it is for development and for one
machine. With --users NATS clients have to be one of those that a file names, and
with --nats-cert and --nats-key the network is encrypted; without both it does not
listen for other machines. With --http-tokens or --http-jwks HTTP asks for tokens,
which must be so, and encrypted, where --http names more than this machine.

Without --data everything is in memory. With it, an acknowledged command
survives a crash and a power cut.

With --nodes it is a cluster to try out: so many nodes, on three servers.

The addresses go to standard output, logs to standard error. Ctrl-C once
finishes what was taken in and stops; twice stops at once.`,
		Example: `{{name}} dev                                 in memory
{{name}} dev --data ./data                   kept in ./data
{{name}} dev --nodes 3                       three nodes on three servers
{{name}} dev --views sqlite                  the views in files, to look into with SQL
{{name}} dev --nats 127.0.0.1:0 --http 127.0.0.1:0 --headless --json`,
		Args: console.Args(0, 0),
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
	flags.StringVar(&f.name, "name", "dev", "`NAME` of the node; with --nodes the names are NAME-1, NAME-2, …")
	flags.IntVar(&f.nodes, "nodes", 1, "run `N` nodes, 1 to 7; several run on three servers, which sync always")
	flags.BoolVar(&f.keepCommands, "keep-commands", false, keepCommandsHelp)
	addViewsFlag(cmd, &f.views)
	f.access.addFlags(cmd)
	f.asked.add(flags)
	return cmd
}

// devConfig is what dev is told, checked.
type devConfig struct {
	dir        string
	nats, http web.Address
	headless   bool
	sync       embedded.Sync
	name       string
	nodes      int
	views      viewStore
	keep       bool // commands
	access     devAccess
	wrapper    privacy.Wrapper
	asked      asked
}

const maxDevNodes = 7

func (f *devFlags) config(cmd *cobra.Command, s *Session) (c devConfig, err error) {
	chosen := func(flag string) bool { return cmd.Flags().Changed(flag) }
	c = devConfig{dir: f.data, headless: f.headless, sync: embedded.Sync(f.sync), name: f.name, nodes: f.nodes, keep: f.keepCommands, access: f.access}
	if c.nats, err = web.ParseAddress("nats", f.nats, chosen("nats")); err != nil {
		return c, err
	}
	if c.http, err = web.ParseAddress("http", f.http, chosen("http")); err != nil {
		return c, err
	}
	if c.asked, err = f.asked.check(s, c.http); err != nil {
		return c, err
	}
	switch {
	case !slices.Contains([]embedded.Sync{embedded.SyncBarrier, embedded.SyncAlways, embedded.SyncNone}, c.sync):
		return c, Usage("--sync %q: want barrier, always or none", f.sync)
	case f.data == "" && chosen("sync"):
		return c, Usage("--sync says how data reach the disk; without --data there is none")
	case f.data == "" && chosen("data"):
		return c, Usage("--data is empty; name a directory, or leave it out to keep everything in memory")
	case c.nodes < 1 || c.nodes > maxDevNodes:
		return c, Usage("--nodes is %d; want 1 to %d", c.nodes, maxDevNodes)
	}
	if err := c.access.check(c.nats, c.nodes); err != nil {
		return c, err
	}
	if c.views, err = viewStoreOf(cmd, s, f.views); err != nil {
		return c, err
	}
	if c.views, err = c.views.inDir(c.dir); err != nil {
		return c, err
	}
	if err := checkNames(s, c.name); err != nil || c.nodes == 1 {
		return c, err
	}
	return c.several(chosen("sync"))
}

// several checks and completes the configuration of more than one node.
func (c devConfig) several(syncChosen bool) (devConfig, error) {
	switch {
	case c.nats.Public():
		return c, Usage("--nats %s: with --nodes the servers listen on the loopback interface only", c.nats)
	case c.sync == embedded.SyncBarrier && syncChosen:
		return c, Usage("--sync barrier is for one server; with --nodes want always or none")
	case c.sync == embedded.SyncBarrier:
		c.sync = embedded.SyncAlways
	}
	return c, nil
}

// nodeNames are the names of the nodes if there are several.
func (c devConfig) nodeNames() []string {
	if c.nodes == 1 {
		return nil
	}
	var names []string
	for i := range c.nodes {
		names = append(names, fmt.Sprintf("%s-%d", c.name, i+1))
	}
	return names
}

// checkNames refuses, before anything is started, names that the parts would
// refuse in turn.
func checkNames(s *Session, node string) error {
	if err := store.ValidateName("namespace", s.Namespace()); err != nil {
		return Usage("--ns: %v", err)
	}
	if err := store.ValidateName("node name", node); err != nil {
		return Usage("--name: %v", err)
	}
	return nil
}

// runDev runs until it is told to stop.
func runDev(ctx context.Context, s *Session, config devConfig) error {
	if err := config.checkLayout(); err != nil {
		return err
	}
	var server embedded.Config
	config.access.configure(&server)
	err := server.CheckAccess() // before a directory is made
	if err == nil {
		err = config.makeDir()
	}
	if err != nil {
		return err
	}
	made := ""
	config.wrapper, err = s.wrapperToRun(ctx, func() (w privacy.Wrapper, err error) {
		w, made, err = s.devWrapper(config.dir)
		return w, err
	})
	if err != nil {
		return err
	}
	var drop func() error
	if config.views, drop, err = config.views.ofProcess(); err != nil {
		return err
	}
	config.warn(s)
	if config.nodes > 1 {
		err = newDevCluster(s, config).process().run(ctx)
	} else {
		err = newDevNode(s, config).process().run(ctx)
	}
	if made != "" {
		err = removeUselessKek(made, err)
	}
	if dropped := drop(); err == nil { // what ended the run is what counts
		err = dropped
	}
	return err
}
