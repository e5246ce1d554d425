// @ts-expect-error: it is not there
import './nowhere';
