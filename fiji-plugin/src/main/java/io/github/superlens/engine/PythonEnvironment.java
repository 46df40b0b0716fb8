package io.github.superlens.engine;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import io.github.superlens.engine.EngineException.Kind;

/**
 * A Python that can run the engine: found by path, and asked what it holds before anything is started with it. Immutable.
 * <p>
 * It is looked for in this order: what the user chose in the setup, the system property {@code superlens.python}, the environment variable
 * {@code SUPERLENS_PYTHON}, the environment that the setup builds. The first that is given is taken, and never another one silently.
 */
public final class PythonEnvironment {

	/** System property that names a Python executable or the folder of an environment. */
	public static final String PROPERTY = "superlens.python";

	/** Environment variable that does the same. */
	public static final String VARIABLE = "SUPERLENS_PYTHON";

	private static final long PATIENCE_SECONDS = 60;
	private static final String SURVEY = "import json, sys\n" + //
		"from importlib.metadata import version, PackageNotFoundError\n" + //
		"def of(name):\n" + //
		"    try:\n" + //
		"        return version(name)\n" + //
		"    except PackageNotFoundError:\n" + //
		"        return None\n" + //
		"found = {name: of(name) for name in ('superlens', 'appose', 'tensorflow')}\n" + //
		"print(json.dumps({'python': sys.version.split()[0], **found}))\n";

	private final File executable;
	private final String source;

	private PythonEnvironment(File executable, String source) {
		this.executable = executable;
		this.source = source;
	}

	/**
	 * Finds the Python to work with.
	 *
	 * @param chosen what the user chose in the setup; null when nothing
	 * @throws EngineException when none is given and none was built, or what is given is no Python
	 */
	public static PythonEnvironment find(File chosen) throws EngineException {
		if (chosen != null) return at(chosen, "the setup");
		final String property = System.getProperty(PROPERTY, "");
		if (!property.isEmpty()) return at(new File(property), "the property " + PROPERTY);
		final String variable = System.getenv(VARIABLE);
		if (variable != null && !variable.isEmpty()) return at(new File(variable), VARIABLE);
		final File built = executableIn(builtFolder());
		if (built != null) return new PythonEnvironment(built, "the environment built by the setup");
		throw new EngineException(Kind.UNAVAILABLE, "There is no Python with superlens yet. Open Plugins > Superlens > Superlens Setup..., " +
			"or name one in the environment variable " + VARIABLE + ".", "");
	}

	/** Folder of the environment that the setup builds; each version of superlens has its own. */
	public static File builtFolder() {
		final String set = System.getProperty("appose.envs-dir", System.getenv("APPOSE_ENVS_DIR"));
		final File parent = set != null ? new File(set) : new File(System.getProperty("user.home"), ".local/share/appose");
		return new File(parent, "superlens-" + Version.OF_PLUGIN);
	}

	/** Path of the Python executable. */
	public File executable() {
		return executable;
	}

	/** Says where this choice comes from, in words. */
	public String source() {
		return source;
	}

	/**
	 * Asks this Python for its versions, and refuses one that cannot run the engine of this plugin. Takes a second.
	 *
	 * @return versions of {@code python}, {@code superlens}, {@code appose} and {@code tensorflow}
	 * @throws EngineException when it does not start, lacks something, or holds another version of superlens
	 */
	public Map<String, Object> check() throws EngineException {
		final Map<String, Object> found = survey();
		final String pip = "\"" + executable + "\" -m pip install ";
		if (found.get("superlens") == null) throw unfit("has no superlens. Install it with: " + pip + "\"superlens[fiji]\"");
		final String version = found.get("superlens").toString();
		if (!Version.fits(version)) throw unfit("has superlens " + version + ", and this plugin is of version " + Version.OF_PLUGIN +
			". Bring both to the same version; the setup can build an environment of the right one");
		if (found.get("appose") == null) throw unfit("lacks the package appose. Install it with: " + pip + "\"superlens[fiji]\"");
		if (found.get("tensorflow") == null) throw unfit("lacks TensorFlow. Install it with: " + pip + "superlens");
		return found;
	}

	/** What a process of this Python must find in its environment: nothing of the user's that leads to other packages, and little noise. */
	Map<String, String> variables() {
		final Map<String, String> variables = new HashMap<>();
		variables.put("PYTHONPATH", "");
		variables.put("PYTHONHOME", "");
		variables.put("PYTHONNOUSERSITE", "1");
		variables.put("PYTHONUTF8", "1");
		variables.put("TF_CPP_MIN_LOG_LEVEL", "2");
		return variables;
	}

	@Override
	public boolean equals(Object other) {
		return other instanceof PythonEnvironment && ((PythonEnvironment) other).executable.equals(executable);
	}

	@Override
	public int hashCode() {
		return executable.hashCode();
	}

	@Override
	public String toString() {
		return executable + " (from " + source + ")";
	}

	private static PythonEnvironment at(File place, String source) throws EngineException {
		final File executable = place.isDirectory() ? executableIn(place) : place;
		if (executable != null && executable.canExecute()) return new PythonEnvironment(executable.getAbsoluteFile(), source);
		throw new EngineException(Kind.UNAVAILABLE, place + " (from " + source + ") is neither a Python executable nor the folder of a Python " +
			"environment. Choose another in Superlens Setup...", "");
	}

	private static File executableIn(File folder) {
		for (final String name : new String[] { "bin/python", "bin/python3", "Scripts/python.exe", "python.exe", ".venv/bin/python", ".venv/Scripts/python.exe", "python",
			"python3" })
		{
			final File file = new File(folder, name);
			if (file.isFile() && file.canExecute()) return file;
		}
		return null;
	}

	private Map<String, Object> survey() throws EngineException {
		String said = "";
		try {
			said = run(SURVEY).trim();
			return Json.object(Json.parse(said.substring(said.lastIndexOf('\n') + 1)));
		}
		catch (IOException | IllegalArgumentException failed) {
			throw new EngineException(Kind.UNAVAILABLE, executable + " (from " + source + ") does not work as Python: " + failed.getMessage() +
				". Choose another in Superlens Setup...", said);
		}
		catch (InterruptedException stopped) {
			Thread.currentThread().interrupt();
			throw EngineException.cancelled();
		}
	}

	/** Runs a script to its end, within a minute, and gives all that it said. */
	private String run(String script) throws IOException, InterruptedException {
		final Path answer = Files.createTempFile("superlens-", ".txt");
		try {
			final ProcessBuilder builder = new ProcessBuilder(executable.getPath(), "-c", script).redirectErrorStream(true).redirectOutput(answer.toFile());
			builder.environment().putAll(variables());
			final Process process = builder.start();
			process.getOutputStream().close();
			if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
				process.destroyForcibly().waitFor();
				throw new IOException("no answer in " + PATIENCE_SECONDS + " seconds");
			}
			return new String(Files.readAllBytes(answer), StandardCharsets.UTF_8);
		}
		finally {
			Files.deleteIfExists(answer);
		}
	}

	private EngineException unfit(String why) {
		return new EngineException(Kind.UNAVAILABLE, "The Python " + executable + " " + why + ".", "");
	}
}
