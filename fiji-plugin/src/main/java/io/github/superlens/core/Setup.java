package io.github.superlens.core;

import java.io.File;
import java.util.Collections;

import io.github.superlens.engine.ApposeEngine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.PythonEnvironment;

/** Chooses or builds the Python that does the work, and shows what it runs on, as measured there. */
public final class Setup implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		if (values.flag("remove")) remove(host);
		if (values.flag("build")) build(values, host);
		if (values.has("python")) choose(new File(values.text("python")), host);
		if (values.flag("remove") && !values.flag("build") && !values.has("python")) return;
		final String engine = host.engine().describe();
		final String found = Job.ask("ping", Collections.singletonMap("devices", true), host).text();
		final String tried = Job.ask("doctor", Collections.singletonMap("speed_test", values.flag("speed_test")), host).text();
		host.show("Superlens setup", engine + "\n" + found + "\n\n" + tried);
	}

	private static void choose(File python, Host host) throws EngineException {
		final PythonEnvironment found = PythonEnvironment.find(python);
		found.check();
		EngineProvider.stop();
		Settings.setPython(python);
		host.log("Superlens now works with " + found.executable());
	}

	private static void build(Values values, Host host) throws EngineException {
		final String requirements = values.text("package") + "\nappose>=0.10,<1\n";
		EngineProvider.stop();
		ApposeEngine.build(requirements, host.progress());
		Settings.setPython(null);
		host.log("Superlens built its Python in " + PythonEnvironment.builtFolder());
	}

	private static void remove(Host host) throws EngineException {
		EngineProvider.stop();
		Folders.delete(PythonEnvironment.builtFolder().toPath());
		Settings.setPython(null);
		host.log("Superlens removed " + PythonEnvironment.builtFolder());
	}
}
