//go:build linux

package fleet

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/annals-go/annals/test/harness"
)

// Node is one node of the example.
type Node struct {
	Name  string
	Place Place

	program string
	dir     string
	servers []*Server // that it connects to
	all     []*Server // of the cluster
	front   string    // URL of what it connects to instead; may be empty
	http    int       // port
	extra   []string  // arguments
	process *harness.Process
}

// Process returns the running process; nil before the first start.
func (n *Node) Process() *harness.Process { return n.process }

// Start starts the process; it does not wait until it serves.
func (n *Node) Start() (err error) {
	line := append(append([]string{}, n.Place.Enter...), n.program)
	n.process, err = harness.Start(n.log(), append(line, n.arguments()...)...)
	return err
}

// HTTP is where the node serves HTTP.
func (n *Node) HTTP() string { return fmt.Sprintf("http://127.0.0.1:%d", n.http) }

func (n *Node) log() string { return filepath.Join(n.dir, "node-"+n.Name+".log") }

// stopLimit is how long a node may take to hand everything over.
const stopLimit = 40 * time.Second

// Stop asks the node to hand everything over and waits for its end.
func (n *Node) Stop() error {
	if err := n.process.Stop(stopLimit); err != nil {
		return fmt.Errorf("stop node %s: %w", n.Name, err)
	}
	return nil
}

// Ready returns nil when the node says that it serves.
func (n *Node) Ready(ctx context.Context) error {
	if err := n.process.Ended(); err != nil {
		return err
	}
	return get(ctx, n.Place, n.HTTP()+"/readyz", nil)
}

// arguments are those of the node command. All monitors are named: the node
// looks there how the servers are set up.
func (n *Node) arguments() []string {
	var urls, monitors []string
	for _, s := range n.servers {
		urls = append(urls, s.URL())
	}
	if n.front != "" {
		urls = []string{n.front}
	}
	for _, s := range n.all {
		monitors = append(monitors, s.Monitor())
	}
	return append([]string{
		"node", "--name", n.Name, "--server", strings.Join(urls, ","), "--monitor", strings.Join(monitors, ","),
		"--replicas", "3", "--http", fmt.Sprintf("127.0.0.1:%d", n.http), "--json",
	}, n.extra...)
}
