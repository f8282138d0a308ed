package main

import (
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/annals/bench"
	"github.com/annals-go/annals/cmd/node"
)

var app = node.App{
	Name:     "annals",
	Summary:  "annals: look into any system that is built on Annals",
	Commands: func(s *node.Session) []*cobra.Command { return []*cobra.Command{bench.Command(s)} },
}

func main() { node.Main(app) }
