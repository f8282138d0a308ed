package node

import "github.com/spf13/cobra"

func newSchema(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schema",
		Short:   "Look at the types of this build, and check a log with them",
		Example: `{{name}} schema migrate OLD NEW`,
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(newSchemaMigrate(s))
	return cmd
}
