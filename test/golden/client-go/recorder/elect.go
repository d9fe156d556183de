package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
)

// elect holds an address on a link while it leads, as kube-vip does in ARP mode. The address goes after the Lease was released: of the two
// orders that kube-vip may show, the one in which two nodes may have it for a moment.
func elect(args []string) error {
	flags := flag.NewFlagSet("elect", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API")
	identity := flags.String("identity", "", "name of the node")
	address := flags.String("address", "", "the VIP with its prefix length")
	link := flags.String("link", "eth0", "link for the VIP")
	on := controlPlane
	flags.StringVar(&on.namespace, "namespace", on.namespace, "namespace of the Lease")
	flags.StringVar(&on.name, "lock", on.name, "name of the Lease")
	t := timing{}
	flags.DurationVar(&t.lease, "lease", 5*time.Second, "lease duration")
	flags.DurationVar(&t.deadline, "deadline", 3*time.Second, "renew deadline")
	flags.DurationVar(&t.retry, "retry", time.Second, "retry period")
	_ = flags.Parse(args)

	elector, err := newElector(*kubeconfig, *identity, on, t, func(*rest.Config) {}, leaderelection.LeaderCallbacks{
		OnStartedLeading: func(context.Context) { ip("add", *address, *link) },
		OnStoppedLeading: func() { ip("del", *address, *link) },
		OnNewLeader:      func(who string) { fmt.Println("leader:", who) },
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	elector.Run(ctx)
	if ctx.Err() == nil {
		return fmt.Errorf("leadership lost")
	}
	return nil
}

func ip(verb, address, link string) {
	// "del" of an address that is not there fails, as it does for an elector that never led.
	out, err := exec.Command("ip", "addr", verb, address, "dev", link).CombinedOutput()
	fmt.Println("address", verb, address, link, err, string(out))
	if err != nil && verb == "add" {
		os.Exit(1)
	}
}
