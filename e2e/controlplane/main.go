// Command controlplane is a Kubernetes control plane in one binary: the first argument picks the component.
//
// The cluster tests and the demo of Amanat start it; it is no cluster for anything else.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata" // CronJobs with a time zone

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	helmcmd "helm.sh/helm/v4/pkg/cmd"
	helmkube "helm.sh/helm/v4/pkg/kube"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwokcmd "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
)

const usage = "usage: controlplane (etcd | apiserver | controller-manager | scheduler | kwok | kubectl | helm | guard PROGRAM) [arguments]"

func main() {
	// A link called kubectl or helm is that tool.
	component := filepath.Base(os.Args[0])
	if component != "kubectl" && component != "helm" {
		if len(os.Args) < 2 {
			fmt.Fprintln(os.Stderr, usage)
			os.Exit(2)
		}
		component = os.Args[1]
		// The components read os.Args themselves.
		os.Args = os.Args[1:]
	}

	switch component {
	case "etcd":
		exitWithParent()
		etcdmain.Main(os.Args)
	case "apiserver":
		serve(apiserver.NewAPIServerCommand())
	case "controller-manager":
		serve(controllermanager.NewControllerManagerCommand())
	case "scheduler":
		serve(scheduler.NewSchedulerCommand())
	case "kwok":
		exitWithParent()
		kwok()
	case "guard":
		guard()
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	case "helm":
		helm()
	default:
		fmt.Fprintf(os.Stderr, "no component is called %q\n%s\n", component, usage)
		os.Exit(2)
	}
}

// exitWithParent ends the process when its standard input closes: a harness that was killed can't stop its
// children, but the kernel closes its end of the pipe.
func exitWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}

func serve(command *cobra.Command) {
	exitWithParent()
	os.Exit(cli.Run(command))
}

// guard runs a program that knows nothing of the harness, such as the operator, as if it ended with its parent:
// it is killed, without a chance to tidy up, when standard input closes. SIGTERM is passed on.
func guard() {
	if len(os.Args) < 2 {
		fail("guard", errors.New("name the program to run"))
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	child := exec.Command(os.Args[1], os.Args[2:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		fail("guard", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = child.Process.Kill()
	}()
	go func() {
		for signal := range terminate {
			_ = child.Process.Signal(signal)
		}
	}()
	err := child.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		os.Exit(exit.ExitCode())
	case errors.As(err, &exit):
		os.Exit(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
	case err != nil:
		fail("guard", err)
	}
}

func kwok() {
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		fail("kwok", err)
	}
	command := kwokcmd.NewCommand(ctx)
	// Kubernetes' libraries have a flag --version of their own, and cobra refuses one that is no boolean.
	command.Version = ""
	command.PersistentFlags().AddFlagSet(flags)
	if err := command.ExecuteContext(ctx); err != nil {
		fail("kwok", err)
	}
}

func helm() {
	helmkube.ManagedFieldsManager = "helm"
	command, err := helmcmd.NewRootCmd(os.Stdout, os.Args[1:], helmcmd.SetupLogging)
	if err != nil {
		fail("helm", err)
	}
	if err := command.Execute(); err != nil {
		var coded helmcmd.CommandError
		if errors.As(err, &coded) {
			os.Exit(coded.ExitCode)
		}
		os.Exit(1)
	}
}

func fail(component string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", component, err)
	os.Exit(1)
}
