package node

import (
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
)

func newEvent(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "event",
		Short: "Watch the log, and take events out and in",
		Example: `{{name}} event tail -f
{{name}} event tail --from 0 --json
{{name}} event export events.jsonl`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newEventTail(s), newEventExport(s), newEventImport(s))
	return cmd
}

// defaultLines is how many events tail shows when it is not told where to
// begin.
const defaultLines = 20

func newEventTail(s *Session) *cobra.Command {
	var t tail
	var from uint64
	var types []string
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last events, and follow",
		Long: `The last events, oldest first; with --from, all events from a position on; with
-f, also those that come. It reads the log itself and leaves nothing on the
server. Personal data need --kek; without it "[personal]" stands for them, and
"[forgotten]" for those of who was forgotten.`,
		Example: `{{name}} event tail
{{name}} event tail -f --type TYPE
{{name}} event tail --from 0 --json
{{name}} event tail -f --jq 'select(.type == "EVENT") | .data'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.types, t.from, t.fromSet = types, store.Position(from), cmd.Flags().Changed("from")
			if !cmd.Flags().Changed("lines") && !t.fromSet {
				t.lines = defaultLines
			}
			if t.lines < 0 {
				return Usage("--lines is %d; it must not be negative", t.lines)
			}
			for _, typ := range types {
				if err := store.ValidateName("aggregate type", typ); err != nil {
					return Usage("--type: %v", err)
				}
			}
			log, err := s.openPlain(cmd.Context(), shown)
			if err != nil {
				return err
			}
			t.log, t.show = log, s.eventPrinter(log.Codec())
			return t.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&t.follow, "follow", "f", false, "show also the events that come, until interrupted")
	flags.Uint64Var(&from, "from", 0, "begin at this `POSITION`; 0 is the beginning of the log")
	flags.IntVarP(&t.lines, "lines", "n", 0, "without --from, begin so many events before the end (default 20); with it, show at most so many")
	flags.StringSliceVar(&types, "type", nil, "only events of this aggregate `TYPE`; may be given several times")
	console.PerCall(cmd, "follow", "from", "lines", "type")
	return cmd
}
