package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/access"
)

func newToken(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Make tokens, by which a node knows who asks",
		Example: `{{name}} token new --role viewer --principal ann`,
		Args:    cobra.ArbitraryArgs,
		RunE:    console.Group,
	}
	cmd.AddCommand(newTokenNew(s))
	return cmd
}

// madeToken is what token new prints for programs.
type madeToken struct {
	Token string `json:"token"`
	Line  string `json:"line"`
}

func newTokenNew(s *Session) *cobra.Command {
	var roles []string
	var principal, file string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a token, and its line for the file that --http-tokens names",
		Long: `The token goes to whoever is to have it, and is printed this once. The line goes
into the file; it holds a hash, which does not tell the token. With --add it is
put there, and only the token is printed; otherwise it is printed behind that. A
token ends when its line is taken out, within seconds.

  client           sends commands and queries views
  viewer           sees everything and changes nothing
  operator         sees everything, sends commands and operates the system
  privacy-officer  sees everything, forgets and exports persons
  admin            all of it`,
		Example: `{{name}} token new --role viewer --principal ann
{{name}} token new --role viewer --principal ann --add tokens
{{name}} token new --role operator,privacy-officer --principal "Bob B." --json
curl -H "Authorization: Bearer $TOKEN" https://bank.example:4280/v1/info`,
		Args: console.Args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			token, line, err := access.NewToken(principal, roles...)
			if err != nil {
				return wrongFlag(err)
			}
			if file != "" {
				if err := addLine(file, line); err != nil {
					return fmt.Errorf("add the line of a token: %w", err)
				}
			}
			if s.JSON() {
				return s.Print(madeToken{Token: token, Line: line})
			}
			if file == "" {
				token += "\n" + line
			}
			_, err = fmt.Fprintln(s.Out(), token)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&roles, "role", nil, "`ROLE` of the token, or several, separated by commas: "+strings.Join(gateway.Roles(), ", "))
	cmd.Flags().StringVar(&principal, "principal", "", "`NAME` of whoever has it, as it will be stored with commands")
	cmd.Flags().StringVar(&file, "add", "", "add the line to this `FILE`, which is made if it is not there")
	console.PerCall(cmd, "add")
	return cmd
}

// addLine appends a line to a file, in one write: a node may read it at any time.
func addLine(name, line string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err == nil && len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	if err == nil {
		_, err = f.WriteString(line + "\n")
	}
	return errors.Join(err, f.Close())
}
