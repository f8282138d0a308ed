package node_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node"
)

// An application adds commands of its own. They print by the session, so that
// --json and --jq work on them too.
func ExampleRun() {
	app := node.App{
		Name: "shop",
		Commands: func(s *node.Session) []*cobra.Command {
			return []*cobra.Command{{
				Use:     "hello NAME",
				Short:   "Greet",
				Example: "{{name}} hello world",
				Args:    cobra.ExactArgs(1),
				RunE: func(_ *cobra.Command, args []string) error {
					if !s.JSON() {
						_, err := fmt.Fprintln(s.Out(), "Hello,", args[0])
						return err
					}
					return s.Print(map[string]string{"hello": args[0]})
				},
			}}
		},
	}
	streams := node.Streams{In: strings.NewReader(""), Out: os.Stdout, Err: os.Stdout}
	ctx := context.Background()
	node.Run(ctx, app, streams, "hello", "world")
	node.Run(ctx, app, streams, "hello", "world", "--json")
	fmt.Println("exit code", node.Run(ctx, app, streams, "hello"))
	// Output:
	// Hello, world
	// {"hello":"world"}
	// error: accepts 1 arg(s), received 0 [USAGE]
	//   fix: see: shop --help
	// exit code 2
}
