package node

import (
	"cmp"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
)

// build says what was built.
type build struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "{{name}} version\n{{name}} version --json",
		Args:    console.Args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			b := build{
				Name: s.app.Name, Version: cmp.Or(version(s.app), "devel"), Revision: revision(),
				Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
			}
			if s.JSON() {
				return s.Print(b)
			}
			_, err := fmt.Fprintf(s.Out(), "%s %s (%s, %s, %s)\n", b.Name, b.Version, cmp.Or(b.Revision, "no revision"), b.Go, b.Platform)
			return err
		},
	}
}
