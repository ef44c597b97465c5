package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/cairn-network/cairn/web/api/client"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (p *program) uiCmd() *cobra.Command {
	noBrowser := false
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Open the page of a peer in a browser",
		Long: `Open the page of a peer in a browser, signed in, and print its address. The address
works once, within ten minutes. Without a desktop it is only printed.`,
		Example: `  cairn ui
  cairn ui --peer p3 --no-browser`,
		SuggestFor: []string{"browser", "web", "page", "dashboard"},
		Args:       exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.talk(cmd.Context(), func(ctx context.Context, _ *watch, c *client.Client) error {
				url, err := c.PageURL(ctx)
				if err != nil {
					return err
				}
				if p.json {
					writeJSON(p.out, map[string]string{"url": url})
					return nil
				}
				fmt.Fprintln(p.out, url)
				if noBrowser || !p.desktop() {
					return nil
				}
				if err := browse(url); err != nil {
					p.note("cairn: no browser was opened (%v): open the address yourself", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "only print the address")
	return cmd
}

// desktop reports whether somebody sits before this machine: a script wants the
// address, and an ssh session has no browser.
func (p *program) desktop() bool {
	f, ok := p.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("SSH_CONNECTION") != "" {
		return false
	}
	return runtime.GOOS == "darwin" || runtime.GOOS == "windows" ||
		os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// browse gives url to the system's browser and waits until it is taken.
func browse(url string) error {
	switch runtime.GOOS {
	case "darwin":
		return exec.Command("open", url).Run()
	case "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", url).Run()
	}
	return exec.Command("xdg-open", url).Run()
}
