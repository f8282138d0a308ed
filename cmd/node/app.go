package node

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/migrate"
)

// App is an application: what a node runs, and what is called what.
type App struct {
	// Name is the name of the binary and, unless --ns says otherwise, of the
	// namespace: what a stream type may be called.
	Name string
	// Version is printed by the command version. Default: what the build
	// recorded about the main module.
	Version string
	// Summary is one line of help. Default: a line that names the application.
	Summary string
	// Aggregates are run by dev and node.
	Aggregates []actor.Definition
	// Projections are kept up to date by dev and node.
	Projections []projector.Definition
	// Transform is what becomes of each commit when a log is copied with schema
	// migrate. Default: [Upcast] with the aggregates, which one of its own may call.
	Transform migrate.Transform
	// Authorize permits what is asked of the gateways, or not: see
	// [gateway.Config.Authorize]. Nil: whatever the roles of a token and the
	// permissions of the NATS server allow.
	Authorize func(ctx context.Context, ask gateway.Ask) error
	// Commands makes the application's own commands. They stand beside the
	// built-in ones, and find connection and output by the session; {{name}} in
	// their examples becomes the name. They have no persistent pre-run. May be
	// nil.
	Commands func(*Session) []*cobra.Command
	// Try is a line that dev prints for the user to try. May be empty. Where it
	// starts with "nats ", dev adds --server if the server is not at the
	// default address.
	Try string
}

// typeNames are those of the aggregates.
func (a App) typeNames() []string {
	names := []string{}
	for _, d := range a.Aggregates {
		names = append(names, d.TypeName())
	}
	return names
}

// viewNames are those of the projections, each once, however many versions of a
// view there are.
func (a App) viewNames() []string {
	names := []string{}
	for _, p := range a.Projections {
		if name := p.Describe().Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Streams is what a run of the command line reads and writes.
type Streams = console.Streams

// Main runs the command line of app with the process's arguments and streams,
// and ends the process with the exit code. The first SIGINT or SIGTERM ends
// the command in good order; the second ends the process.
func Main(app App) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(console.ExitInterrupted)
	}()
	os.Exit(Run(ctx, app, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}, os.Args[1:]...))
}

// Run runs the command line of app with args, and returns the exit code: 0
// done, 1 failure, 2 wrong usage, 3 not found, 4 conflict or rejection, 5
// unavailable or out of time, 6 a check found something, 7 not permitted, 130 interrupted. It panics if app has no valid
// name.
func Run(ctx context.Context, app App, streams Streams, args ...string) int {
	if err := store.ValidateName("application", app.Name); err != nil {
		panic("node: " + err.Error())
	}
	s := newSession(app, streams)
	defer s.close()
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return console.ExitOK
	}
	f := explain(ctx, s, err)
	console.Tell(s.Console, f)
	return f.Exit
}
