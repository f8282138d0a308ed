package node

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/servers"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// nodeFlags are what node is told.
type nodeFlags struct {
	name, zone           string
	roles                []string
	weight, capacity     int
	http                 string
	partitions, replicas int
	logStreams           int
	durability           string
	monitor              []string
	views                string
	api                  bool
	keepCommands         bool
	asked                askedFlags
}

// keepCommandsHelp is that of a flag of dev and node.
const keepCommandsHelp = "keep commands beside their events, for whatif, from now on; a namespace that does, does for good"

func newNode(s *Session) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a node of a cluster, on NATS servers of your own",
		Long: `The nodes of a namespace find each other through the NATS servers and share its
partitions and views. Start as many as you like, under different names, and stop
them when you like: a node that gets SIGTERM or Ctrl-C once hands over what it
holds and ends; twice it ends at once.

A node refuses to start where it cannot keep what --durability promises:
  replicated-sync  an acknowledged command survives the loss of a server and a
                   power cut of all: at least three copies, on servers that sync
                   always. That they do is asked at their monitoring ports
                   (--monitor), or over NATS where the account may ask it.
  replicated       the same without the power cut
  single           one copy, synced as the server does it
  none             nothing is kept: in the servers' memory

A node refuses to listen for other machines over HTTP, too, unless it asks who
they are and encrypts: --http-cert, --http-key, and --http-tokens or --http-jwks.
Where strangers reach --http, give probes and metrics an address of their own that
only those who look after the node reach: --probes. The same holds for that one.`,
		Example: `{{name}} node --name a -s nats://n1:4222,nats://n2:4222 --monitor http://n1:8222,http://n2:8222,http://n3:8222
{{name}} node --name b --zone west --weight 2 --http :4280
{{name}} node --name c --roles projectors,gateway
{{name}} node --api --http 10.0.0.7:4280 --probes 127.0.0.1:4281 --http-tokens tokens --http-cert cert.pem --http-key key.pem
{{name}} node --views postgres://app@db/app --durability replicated --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.config(cmd, s)
			if err != nil {
				return err
			}
			if config.wrapper, err = s.wrapperToRun(cmd.Context(), nil); err != nil {
				return err
			}
			return newProduction(s, config).process().run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "`NAME` of the node, its own among all nodes (default: the name of this machine)")
	flags.StringVar(&f.zone, "zone", "", "`ZONE` that it runs in, for operators to see")
	flags.StringSliceVar(&f.roles, "roles", roleNames(cluster.AllRoles()), "what it does, separated by commas: actors (partitions), projectors (views), gateway (requests of any client)")
	flags.IntVar(&f.weight, "weight", 1, "its share of the partitions, relative to the others'")
	flags.IntVar(&f.capacity, "capacity", 0, "the most `PARTITIONS` that it takes; 0: no limit")
	flags.StringVar(&f.http, "http", defaultHTTP, "`HOST:PORT` for HTTP; port 0 takes a free one, as does the default when it is taken")
	flags.IntVar(&f.partitions, "partitions", 0, "`NUMBER` of partitions of a new namespace, and what an existing one must have (default: 128 for a new one)")
	flags.IntVar(&f.logStreams, "log-streams", 0, "`NUMBER` of streams that a new namespace's events are appended to, with leaders on different servers, and what an existing one must have (default: 1 for a new one)")
	flags.IntVar(&f.replicas, "replicas", 0, "`COPIES` of the data of a new namespace, and the least that an existing one must have (default 3; 1 with --durability single or none)")
	flags.StringVar(&f.durability, "durability", string(servers.ReplicatedSync), "the `PROMISE` to keep: "+strings.Join(promiseNames(), ", "))
	flags.StringSliceVar(&f.monitor, "monitor", nil, "monitoring `URL`s of all NATS servers, separated by commas, such as http://n1:8222")
	addViewsFlag(cmd, &f.views)
	flags.BoolVar(&f.keepCommands, "keep-commands", false, keepCommandsHelp)
	flags.BoolVar(&f.api, "api", false, "serve commands and queries over HTTP too, below /v1/: to whoever reaches --http, unless --http-tokens or --http-jwks say to whom")
	f.asked.add(flags)
	return cmd
}

// nodeConfig is what node is told, checked.
type nodeConfig struct {
	node       cluster.Node
	http       web.Address
	partitions int // 0: what the namespace has, or the default
	logStreams int // likewise
	replicas   int
	promise    servers.Promise
	monitor    []string
	views      viewStore
	api        bool
	keep       bool // commands
	wrapper    privacy.Wrapper
	asked      asked
}

func (f *nodeFlags) config(cmd *cobra.Command, s *Session) (c nodeConfig, err error) {
	if c.node, err = f.node(s); err != nil {
		return c, err
	}
	if c.http, err = web.ParseAddress("http", f.http, cmd.Flags().Changed("http")); err != nil {
		return c, err
	}
	if c.asked, err = f.asked.check(s, c.http); err != nil {
		return c, err
	}
	if c.monitor, err = servers.ParseMonitors(f.monitor); err != nil {
		return c, err
	}
	c.promise, c.partitions, c.logStreams, c.replicas = servers.Promise(f.durability), f.partitions, f.logStreams, f.replicas
	c.api, c.keep = f.api, f.keepCommands
	if !slices.Contains(servers.Promises(), c.promise) {
		return c, Usage("--durability %q: want %s", f.durability, strings.Join(promiseNames(), ", "))
	}
	if c.replicas == 0 {
		c.replicas = c.promise.Copies()
	}
	if c.replicas < c.promise.Copies() {
		u := Usage("--replicas %d is fewer than the %d copies of --durability %s", c.replicas, c.promise.Copies(), c.promise)
		u.Fix = "leave --replicas out, or name the weaker promise: --durability single"
		return c, u
	}
	if err := store.ValidateName("namespace", s.Namespace()); err != nil {
		return c, Usage("--ns: %v", err)
	}
	if c.views, err = viewStoreOf(cmd, s, f.views); err != nil {
		return c, err
	}
	switch {
	case c.views.kind == viewsSQLite && c.views.where == "":
		return c, Usage("--views sqlite: name the directory, as in sqlite:/var/lib/%s", s.app.Name)
	case c.views.kind != viewsKV && c.promise == servers.None:
		return c, Usage("--views %s outlives the events, of which --durability none keeps nothing", c.views.kind)
	}
	return c, nil
}

var nodeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// node is what the node will say of itself.
func (f *nodeFlags) node(s *Session) (cluster.Node, error) {
	n := cluster.Node{Name: f.name, Version: version(s.app), Zone: f.zone, Weight: f.weight, Capacity: f.capacity}
	if n.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return n, fmt.Errorf("find a name for the node: %w", err)
		}
		n.Name = nameOf(host)
	}
	switch {
	case !nodeName.MatchString(n.Name):
		return n, Usage("--name %q: want a letter, then letters, digits, - and _, at most 64", n.Name)
	case f.weight < 1 || f.weight > 1000:
		return n, Usage("--weight is %d; want 1 to 1000", f.weight)
	case f.capacity < 0:
		return n, Usage("--capacity is %d; it must not be negative", f.capacity)
	case len(f.roles) == 0:
		return n, Usage("--roles is empty; want some of %s", strings.Join(roleNames(cluster.AllRoles()), ", "))
	}
	for _, r := range f.roles {
		if !slices.Contains(cluster.AllRoles(), cluster.Role(r)) {
			return n, Usage("--roles: %q is none; want some of %s", r, strings.Join(roleNames(cluster.AllRoles()), ", "))
		}
		n.Roles = append(n.Roles, cluster.Role(r))
	}
	return n, nil
}

// nameOf makes a node's name of a machine's: the part before the first dot,
// with what a name cannot have replaced.
func nameOf(host string) string {
	host, _, _ = strings.Cut(host, ".")
	name := strings.Map(func(r rune) rune {
		if r < 128 && nodeName.MatchString("a"+string(r)) {
			return r
		}
		return '-'
	}, host)
	if name != "" && !nodeName.MatchString(name[:1]) {
		name = "node-" + name
	}
	return cmp.Or(name[:min(len(name), 64)], "node")
}

func promiseNames() []string {
	var names []string
	for _, p := range servers.Promises() {
		names = append(names, string(p))
	}
	return names
}

func roleNames(roles []cluster.Role) []string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return names
}
