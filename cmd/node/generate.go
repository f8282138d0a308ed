package node

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func newGenerate(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Print what other programs are to be configured with",
		Example: `{{name}} generate mappings
{{name}} generate alerts
{{name}} generate permissions`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newGenerateMappings(s), newGenerateAlerts(s), newGeneratePermissions(s))
	return cmd
}

// mapping is what generate mappings prints for programs.
type mapping struct {
	From       string `json:"from"`
	To         string `json:"to"`
	Partitions int    `json:"partitions"`
}

func newGenerateMappings(s *Session) *cobra.Command {
	var partitions int
	cmd := &cobra.Command{
		Use:   "mappings",
		Short: "Print the NATS configuration that sends commands straight to their owners",
		Long: `With it, a NATS server brings a command of any client to the node that holds its
partition, without a gateway in between. Nothing needs it: Go clients find the
owner by themselves, and gateways pass on what others send. A gateway keeps a
command while its partition has no owner; with the mapping, the client is told
at once that nobody responds, and has to send it again.

How many partitions there are is read from the namespace on the server, unless
--partitions tells.`,
		Example: `{{name}} generate mappings >> nats-server.conf
{{name}} generate mappings --partitions 128
{{name}} generate mappings --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("partitions") && (partitions < 1 || partitions > 4096) {
				return Usage("--partitions is %d; want 1 to 4096", partitions)
			}
			if err := store.ValidateName("namespace", s.Namespace()); err != nil {
				return Usage("--ns: %v", err)
			}
			if partitions == 0 {
				config, err := s.existing(cmd.Context())
				if err != nil {
					return err
				}
				partitions = config.Partitions
			}
			return s.printMapping(partitions)
		},
	}
	cmd.Flags().IntVar(&partitions, "partitions", 0, "`NUMBER` of partitions of the namespace (default: asked on the server)")
	return cmd
}

func (s *Session) printMapping(partitions int) error {
	from, to := gateway.Mapping(s.Namespace(), partitions)
	if s.JSON() {
		return s.Print(mapping{From: from, To: to, Partitions: partitions})
	}
	_, err := fmt.Fprintf(s.Out(), `# Commands of namespace %s, to the owners of its %d partitions. At the top level
# it is for clients without an account; in an account, put it into that section.
mappings = {
  %q: %q
}
`, s.Namespace(), partitions, from, to)
	return err
}
