package io.github.superlens.engine;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The version of this plugin, and which versions of the engine go with it. */
public final class Version {

	/** Number of the protocol that this plugin speaks. */
	public static final int SCHEMA = 1;

	/** Version of this plugin, like 0.1.0. */
	public static final String OF_PLUGIN = read();

	private Version() {
		// says numbers
	}

	/** Whether an engine of some version goes with this plugin: the first two numbers are the same. */
	public static boolean fits(String version) {
		return series(version).equals(series(OF_PLUGIN));
	}

	private static String series(String version) {
		final String[] numbers = version.split("[.+]");
		return numbers[0] + "." + (numbers.length > 1 ? numbers[1] : "0");
	}

	private static String read() {
		final Properties properties = new Properties();
		try (InputStream in = Version.class.getResourceAsStream("version.properties")) {
			properties.load(in);
		}
		catch (IOException broken) {
			throw new UncheckedIOException("the plugin's jar is damaged; install it again", broken);
		}
		return properties.getProperty("version");
	}
}
