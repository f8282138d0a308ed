// Package console is how a command line talks to people and to scripts.
//
//	c := console.New(console.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv})
//	g := c.Grid("NAME", "SINCE")
//	g.Add("ann", c.When(since))
//	err := g.Render("nobody is here")
//
// It owns the streams, the flags that say how to talk (--json, --jq, --no-color,
// --verbose, --quiet, --log-level), tables, JSON, colours, progress, questions,
// failures with their exit codes, the form of the help, and the variables that
// stand for flags. It makes what it prints safe for a terminal.
//
// It knows nothing of events, commands, views or servers, has no command of its
// own, and never decides what an error means: whoever runs the command line does.
package console
